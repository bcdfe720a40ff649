"""A model on a hub: the real client downloads from a small hub on this machine."""

import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from pie.core.errors import BadModel, InvalidArgument, NotFound, PieError, Unavailable
from pie.core.progress import NoProgress
from pie.models.hub import explain, fetch_repository
from pie.models.prepare import prepare
from pie.models.sources import Fetched, HubSource
from pie.models.stored import open_model
from pie.models.tiny import write_tiny_llama
from pie.models.tiny_gguf import write_tiny_gguf

COMMIT = "0123456789abcdef0123456789abcdef01234567"
SOURCE = HubSource("org/Tiny-Llama")


class TinyHub(ThreadingHTTPServer):
    """Serves the files of `folder` as the one repository `org/Tiny-Llama`."""

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), Routes)
        self.folder = folder
        self.asked: list[str] = []
        self.wrong_hashes = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def description(self) -> dict[str, Any]:
        files = [path for path in sorted(self.folder.rglob("*")) if path.is_file()]
        return {"id": "org/Tiny-Llama", "sha": COMMIT, "siblings": [self.sibling(path) for path in files]}

    def sibling(self, path: Path) -> dict[str, Any]:
        data = b"other" if self.wrong_hashes else path.read_bytes()
        large = {"sha256": hashlib.sha256(data).hexdigest(), "size": path.stat().st_size, "pointerSize": 100}
        name = str(path.relative_to(self.folder))
        common = {"rfilename": name, "size": path.stat().st_size, "blobId": "0" * 40}
        return common if path.suffix == ".json" else {**common, "lfs": large}


class Routes(BaseHTTPRequestHandler):
    server: TinyHub

    def do_GET(self) -> None:
        self.answer(with_body=True)

    def do_HEAD(self) -> None:
        self.answer(with_body=False)

    def answer(self, with_body: bool) -> None:
        path = self.path.partition("?")[0]
        prefix = f"/org/Tiny-Llama/resolve/{COMMIT}/"
        if path.startswith("/api/models/org/Tiny-Llama"):
            self.reply(200, json.dumps(self.server.description()).encode(), with_body)
        elif path.startswith(prefix) and (self.server.folder / path.removeprefix(prefix)).is_file():
            self.server.asked.append(path.removeprefix(prefix))
            self.reply(200, (self.server.folder / path.removeprefix(prefix)).read_bytes(), with_body)
        else:
            self.reply(404, b"{}", with_body, {"X-Error-Code": "RepoNotFound"})

    def reply(self, code: int, body: bytes, with_body: bool, headers: dict[str, str] | None = None) -> None:
        self.send_response(code)
        tag = hashlib.sha256(body).hexdigest()
        for key, value in {"ETag": f'"{tag}"', "X-Repo-Commit": COMMIT, **(headers or {})}.items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if with_body:
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TinyHub]:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path / "repository"
    folder.mkdir()
    server = TinyHub(folder)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    folder = tmp_path / "workspace"
    folder.mkdir()
    return folder


def fetch(hub: TinyHub, workspace: Path, source: HubSource = SOURCE) -> Fetched:
    return fetch_repository(source, workspace, NoProgress(), hub.url)


@pytest.mark.parametrize("shards", [1, 2])
def test_safetensors_and_their_json_files_are_fetched(hub: TinyHub, workspace: Path, shards: int) -> None:
    write_tiny_llama(hub.folder, shards=shards)
    for name in ("pytorch_model.bin", "README.md", "onnx/model.onnx"):
        (hub.folder / name).parent.mkdir(exist_ok=True)
        (hub.folder / name).write_bytes(b"not wanted")
    fetched = fetch(hub, workspace)
    prepare(fetched, fetched.name, "hf:org/Tiny-Llama", workspace)
    model = open_model(workspace)
    assert (model.name, model.format, model.details.version) == ("tiny-llama", "safetensors", COMMIT[:12])
    assert len(model.files) == shards
    assert not {"pytorch_model.bin", "README.md", "onnx/model.onnx"} & set(hub.asked)
    assert not (workspace / ".cache").exists()


def test_one_gguf_of_a_repository_is_fetched(hub: TinyHub, workspace: Path) -> None:
    for name in ("Tiny.Q8_0.gguf", "Tiny.F16.gguf"):
        write_tiny_gguf(hub.folder / name, format=name.split(".")[1])
    with pytest.raises(InvalidArgument, match=r"hf:org/Tiny-Llama/Tiny\.F16\.gguf"):
        fetch(hub, workspace)
    fetched = fetch(hub, workspace, HubSource("org/Tiny-Llama", None, "Tiny.Q8_0.gguf"))
    assert (fetched.name, fetched.format) == ("tiny", "gguf")
    assert [file.path for file in fetched.files] == ["Tiny.Q8_0.gguf"]


def test_a_repository_with_pickled_weights_only_is_refused(hub: TinyHub, workspace: Path) -> None:
    (hub.folder / "config.json").write_text("{}")
    (hub.folder / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    with pytest.raises(InvalidArgument, match=r"pytorch_model\.bin is a pickled checkpoint.*any code"):
        fetch(hub, workspace)
    assert hub.asked == []


def test_a_download_with_another_hash_is_refused(hub: TinyHub, workspace: Path) -> None:
    write_tiny_llama(hub.folder)
    hub.wrong_hashes = True
    with pytest.raises(BadModel, match="arrived damaged"):
        fetch(hub, workspace)


def test_a_repository_that_does_not_exist_is_named(hub: TinyHub, workspace: Path) -> None:
    with pytest.raises(NotFound, match="no hf:org/other"):
        fetch(hub, workspace, HubSource("org/other"))


def test_without_a_network_one_line_says_what_to_do(workspace: Path, closed_port: int) -> None:
    with pytest.raises(
        Unavailable, match=r"no network: cannot reach the hub.*pie model pull FOLDER"
    ) as caught:
        fetch_repository(SOURCE, workspace, NoProgress(), f"http://127.0.0.1:{closed_port}")
    assert "\n" not in str(caught.value)


def test_an_error_nobody_foresaw_is_still_one_line() -> None:
    error = explain(RuntimeError("first\nsecond"), SOURCE)
    assert isinstance(error, PieError)
    assert "first" in str(error) and "\n" not in str(error)
