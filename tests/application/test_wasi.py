"""A sandbox has no files, no network, no environment, no processes; asking for them is an ordinary error."""

import pytest
from sandbox import Sandbox, logged

pytestmark = pytest.mark.wasm

ASKED = {
    "a file": ("open('/etc/passwd')", "FileNotFoundError"),
    "a new file": ("open('/tmp/x', 'w')", "FileNotFoundError"),
    "a folder": ("__import__('os').listdir('/')", "FileNotFoundError"),
    "a connection": ("__import__('socket').create_connection(('127.0.0.1', 80))", "PermissionError"),
    "a name": ("__import__('socket').getaddrinfo('example.org', 80)", "Error"),
    "a process": ("__import__('subprocess').run(['ls'])", "OSError"),
    "a thread": ("__import__('threading').Thread(target=print).start()", "RuntimeError"),
    "input": ("input()", "EOFError"),
}


@pytest.mark.parametrize("what", ASKED)
async def test_what_a_sandbox_lacks_is_an_exception_of_the_program(sandbox: Sandbox, what: str) -> None:
    expression, error = ASKED[what]
    text = (
        "def main():\n"
        "    try:\n"
        f"        {expression}\n"
        "    except Exception as error:\n"
        "        return str(type(error).__mro__)"
    )
    assert error in await sandbox.result(text)


async def test_there_is_no_environment_and_no_argument_of_the_server(sandbox: Sandbox) -> None:
    text = "import os, sys\ndef main():\n    return [dict(os.environ), sys.argv[1:]]"
    assert await sandbox.result(text) == "[{}, []]"


async def test_leaving_through_the_system_ends_the_program_with_a_message(sandbox: Sandbox) -> None:
    failed = await sandbox.failure("import os\ndef main():\n    os._exit(3)")
    assert "exit" in failed.message


async def test_the_wall_clock_tells_the_day_in_milliseconds(sandbox: Sandbox) -> None:
    text = "import time\ndef main():\n    return [time.time() > 1.7e9, time.time_ns() % 1_000_000]"
    assert await sandbox.result(text) == "[true, 0]"


async def test_random_bytes_differ(sandbox: Sandbox) -> None:
    text = "import os\ndef main():\n    return os.urandom(16) != os.urandom(16)"
    assert await sandbox.result(text) == "true"


async def test_writing_to_the_descriptors_reaches_the_log(sandbox: Sandbox) -> None:
    text = "import os\ndef main():\n    os.write(1, b'one\\n')\n    os.write(2, b'two\\n')"
    assert logged(await sandbox.events(text)) == "one\ntwo\n"
