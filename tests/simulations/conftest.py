import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "control"))  # where the naive model lives
