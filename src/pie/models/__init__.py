"""Models: fetching, storing and reading them. Weights, configuration, tokenizer, chat template.

Nothing here computes with a model (that is `pie.inference`), and nothing executes what came with one.
"""

from pie.models.adapters import Adapter, LoraModule, open_adapter
from pie.models.config import ModelConfig, RopeScaling
from pie.models.groups import Groups
from pie.models.sources import DEFAULT_MODEL, DEFAULT_SOURCE
from pie.models.store import DamagedModel, ModelStore
from pie.models.stored import StoredModel, model_info, open_model
from pie.models.tokenizer import ModelTokenizer, load_tokenizer
from pie.models.weights import Weights, open_weights, read_config, read_tensors

__all__ = [
    "DEFAULT_MODEL",
    "DEFAULT_SOURCE",
    "Adapter",
    "DamagedModel",
    "Groups",
    "LoraModule",
    "ModelConfig",
    "ModelStore",
    "ModelTokenizer",
    "RopeScaling",
    "StoredModel",
    "Weights",
    "load_tokenizer",
    "model_info",
    "open_adapter",
    "open_model",
    "open_weights",
    "read_config",
    "read_tensors",
]
