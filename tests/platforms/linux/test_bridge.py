"""Two sandboxes on a bridge, in a network of the test's own: they meet, nobody else is met, and nothing stays."""

import os
import subprocess
import sys
import textwrap

import pytest

PROGRAM = """
    import os, select, sys, tempfile, time
    from bldr.api import Bridge, Input, Launch, NetworkPolicy, SandboxSpec, Temp
    from bldr_linux.sandbox import LinuxSandbox

    base = tempfile.mkdtemp()
    os.chmod(base, 0o711)
    os.mkdir(base + "/v1", 0o711)
    launcher = LinuxSandbox().open(base + "/v1")
    null = os.open("/dev/null", os.O_RDWR)
    ended = {}

    def start(number, script, network):
        out = os.open(base + f"/{number}", os.O_RDWR | os.O_CREAT, 0o600)
        spec = SandboxSpec(inputs=(Input("/usr"),), temps=(Temp("/tmp"),), env=(("PATH", "/usr/bin"),), network=network)
        argv = ("/usr/bin/python3", "-c", script)
        launcher.start(Launch(launch_id=number, spec=spec, argv=argv, cwd="/", stdin=null, stdout=out, stderr=out))
        return out

    def wait(number, out):
        while number not in ended:
            select.select([launcher], [], [], 30)
            ended.update((end.launch_id, end) for end in launcher.reap())
        end = ended[number]
        text = os.pread(out, 10000, 0).decode()
        print(number, end.exit_code, text.strip() or (end.failure and end.failure.message), flush=True)

    bridge = NetworkPolicy(bridge=Bridge("t0", "10.222.0.0/24", nat=False))
    ADDRESS = (
        "import socket, fcntl, struct\\n"
        "s = socket.socket()\\n"
        "own = socket.inet_ntoa(fcntl.ioctl(s, 0x8915, struct.pack('256s', b'eth0'))[20:24])\\n"
    )
    server = start(1, ADDRESS + (
        "s.bind((own, 7777)); s.listen(); print(own, flush=True)\\n"
        "c, peer = s.accept(); c.sendall(b'hello from the server'); c.close()\\n"
    ), bridge)
    deadline = time.monotonic() + 30
    while not os.fstat(server).st_size and time.monotonic() < deadline and 1 not in ended:
        ended.update((end.launch_id, end) for end in launcher.reap())
        time.sleep(0.01)
    address = os.pread(server, 100, 0).decode().strip()
    print("address", address)
    asking = f"import socket; print(socket.create_connection(({address!r}, 7777), 20).recv(99).decode())"
    client = start(2, asking, bridge)
    wait(2, client)
    wait(1, server)
    alone = f"import socket; socket.create_connection(({address!r}, 7777), 2)"
    wait(3, start(3, alone, NetworkPolicy()))
    launcher.close()
    print("links", sorted(os.listdir("/sys/class/net")) if os.path.ismount("/sys") else "unknown")
"""


def run():
    own = ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--user", "--map-root-user", "--net"]
    # /sys shows the network of whoever mounted it; /run is where leases are written.
    script = 'mount -t sysfs none /sys; mount -t tmpfs none /run; exec "$@"'
    program = [*own, "--mount", "sh", "-ec", script, "sh", sys.executable, "-c", textwrap.dedent(PROGRAM)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run(program, capture_output=True, text=True, env=environment, timeout=120, check=False)


def test_sandboxes_meet_on_a_bridge(sandbox):
    if not os.path.exists("/usr/bin/python3"):
        pytest.skip("the system has no /usr/bin/python3")
    ran = run()
    if "unshare:" in ran.stderr or "mount:" in ran.stderr:
        pytest.skip(f"no network of the test's own: {ran.stderr.strip()}")
    lines = dict(line.split(" ", 1) for line in ran.stdout.splitlines() if line[0].isalnum())
    assert lines["address"].startswith("10.222.0."), ran
    assert lines["2"] == "0 hello from the server", ran
    assert lines["1"].startswith("0 "), ran
    assert lines["3"].startswith("1 "), ran
    assert "Network is unreachable" in ran.stdout
    assert lines["links"] == "['lo']", ran
