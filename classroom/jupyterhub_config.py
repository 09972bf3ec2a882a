"""JupyterHub for a class on one server.

As root, in the folder of the repository:

    .venv/bin/jupyterhub -f classroom/jupyterhub_config.py

It listens on this machine only (127.0.0.1:8000); the page "A class on one server" of the book
tells how to open it to a class. Accounts are those of the machine (`classroom/accounts.py` makes
them), notebooks come by link (`classroom/handout.py`), the built book stands at /services/book/.
"""

import os
import pwd
import resource
import subprocess
import sys
from pathlib import Path

import psutil
from jupyterhub.spawner import LocalProcessSpawner

c = get_config()  # noqa: F821  # JupyterHub puts it there

ROOT = Path(__file__).resolve().parents[1]
ENVIRONMENT = Path(sys.prefix)  # the book's: students run it, only root writes it
STATE = Path(os.environ.get("CLASS_STATE", "/var/lib/attention-class"))
ADDRESS = os.environ.get("CLASS_ADDRESS", "http://127.0.0.1:8000")

# What one student may use. The largest chapter takes 1 GB while it runs.
MEMORY = "1500M"
CORES = 1.0
PROCESSES = 400  # and threads
# What one takes on the average, and what the machine keeps for itself: more servers than fit
# are not started; the hub says so.
USUAL_MEMORY, RESERVED_MEMORY = 500 * 2**20, 2 * 2**30
IDLE_SECONDS = 30 * 60  # a server that nobody has used for so long is stopped; files stay

# -- the hub itself ---------------------------------------------------------------------------
STATE.mkdir(parents=True, exist_ok=True)
STATE.chmod(0o755)  # the handout lies here
private = STATE / "hub"
private.mkdir(mode=0o700, exist_ok=True)
c.JupyterHub.bind_url = ADDRESS
c.JupyterHub.hub_port = int(os.environ.get("CLASS_HUB_PORT", "8081"))
c.JupyterHub.db_url = f"sqlite:///{private / 'hub.sqlite'}"
c.JupyterHub.cookie_secret_file = str(private / "cookie_secret")
c.ConfigurableHTTPProxy.pid_file = str(private / "proxy.pid")
c.ConfigurableHTTPProxy.api_url = os.environ.get("CLASS_PROXY_API", "http://127.0.0.1:8001")
c.JupyterHub.active_server_limit = max(
    1, (psutil.virtual_memory().total - RESERVED_MEMORY) // USUAL_MEMORY
)
c.JupyterHub.concurrent_spawn_limit = 10  # a whole class comes at the same minute
c.JupyterHub.authenticate_prometheus = True

# -- who may come in: accounts of this machine, in two groups of their own ---------------------
STUDENTS, TEACHERS = "class-students", "class-teachers"
for group in (STUDENTS, TEACHERS):
    subprocess.run(["groupadd", "--force", group], check=True)
c.JupyterHub.authenticator_class = "pam"
c.PAMAuthenticator.allowed_groups = {STUDENTS, TEACHERS}
c.PAMAuthenticator.admin_groups = {TEACHERS}
c.PAMAuthenticator.open_sessions = False
c.JupyterHub.admin_access = False  # a teacher starts and stops servers, and reads no one's files


# -- one server for each, under the student's own account --------------------------------------
class LimitedSpawner(LocalProcessSpawner):
    """Start a student's server with the limits that a plain process can have.

    The limit of memory holds for each process; under systemd it holds for all of a student's.
    """

    def make_preexec_fn(self, name: str):
        """Return what the new process does before it becomes the student's server."""
        become_student = super().make_preexec_fn(name)
        memory = int(self.mem_limit)
        cores = sorted(os.sched_getaffinity(0))
        number = pwd.getpwnam(name).pw_uid
        mine = {cores[(number + i) % len(cores)] for i in range(max(1, round(CORES)))}

        def preexec() -> None:
            os.sched_setaffinity(0, mine)
            os.setpriority(os.PRIO_PROCESS, 0, 5)  # the hub goes first
            resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
            resource.setrlimit(resource.RLIMIT_NPROC, (PROCESSES, PROCESSES))
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            become_student()
            os.umask(0o077)

        return preexec


if Path("/run/systemd/system").is_dir():
    c.JupyterHub.spawner_class = "systemd"
    c.SystemdSpawner.cpu_limit = CORES
    c.SystemdSpawner.isolate_tmp = True
    c.SystemdSpawner.isolate_devices = True
    c.SystemdSpawner.disable_user_sudo = True
    c.SystemdSpawner.unit_extra_properties = {"UMask": "0077", "TasksMax": str(PROCESSES)}
else:
    c.JupyterHub.spawner_class = LimitedSpawner

c.Spawner.mem_limit = MEMORY
c.Spawner.cmd = [str(ENVIRONMENT / "bin" / "jupyterhub-singleuser")]
c.Spawner.args = [
    "--MappingKernelManager.cull_idle_timeout=3600",
    # a kernel talks by files of its student's: every account of the machine can listen to a port
    "--KernelManager.transport=ipc",
]
c.Spawner.default_url = "/lab"
c.Spawner.notebook_dir = "~"
c.Spawner.start_timeout = c.Spawner.http_timeout = 180
c.Spawner.environment = {
    # these files' names may have 107 characters, and 49 are a kernel's
    "JUPYTER_RUNTIME_DIR": lambda spawner: f"{pwd.getpwnam(spawner.user.name).pw_dir}/.run",
    "OMP_NUM_THREADS": "1",
    "JUPYTER_PREFER_ENV_PATH": "1",  # this environment's kernel, whatever a student has
    "PATH": f"{ENVIRONMENT / 'bin'}:/usr/local/bin:/usr/bin:/bin",
    "GIT_CONFIG_SYSTEM": str(STATE / "gitconfig"),
}
# git takes notebooks from a folder that belongs to somebody else only if this is said
(STATE / "gitconfig").write_text(f"[safe]\n\tdirectory = {STATE / 'handout.git'}\n")

# -- beside the servers ------------------------------------------------------------------------
c.JupyterHub.load_roles = [
    {
        "name": "cull",
        "scopes": ["list:users", "read:users:activity", "read:servers", "delete:servers"],
        "services": ["cull"],
    },
    # everybody who is let in may read the book
    {"name": "user", "scopes": ["self", "access:services!service=book"]},
]
c.JupyterHub.services = [
    {
        "name": "cull",
        "command": [
            sys.executable,
            "-m",
            "jupyterhub_idle_culler",
            f"--timeout={IDLE_SECONDS}",
            "--cull-every=60",
        ],
    },
    {
        "name": "book",
        "url": os.environ.get("CLASS_BOOK_URL", "http://127.0.0.1:8002"),
        "command": [sys.executable, str(ROOT / "classroom" / "serve_book.py")],
        "oauth_no_confirm": True,
    },
]
