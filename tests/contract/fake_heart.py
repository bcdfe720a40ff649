"""What a driver process runs when a test wants it without a model. Imported by the process, not by tests."""

from pie.core.progress import Progress
from pie.inference.wire import WorkerOptions
from pie.testing import FakeExecutor, fake_spec


def open_fake(options: WorkerOptions, progress: Progress) -> FakeExecutor:
    with progress.start("Making it up", 3) as step:
        step.advance(3)
    settings = options.settings
    return FakeExecutor(fake_spec(settings.pages, settings.embs, settings.page_size, vocabulary=320))
