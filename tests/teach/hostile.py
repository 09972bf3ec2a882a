"""What students might put into a cell to harm others or to get points."""

from __future__ import annotations

MARKER = "123.4567"  # seconds that a process which has got away would sleep

FAKE_CHECK = """
import sys
import attn_utils.checks as checks
class Right:
    passed, message = True, "✓ scoring.factor: right"
    def __bool__(self): return True
check = checks.check = lambda name, answer: print("✓ right") or Right()
checks.compare = checks._close = lambda *a, **k: True
for module in list(sys.modules.values()):
    for name in ("check", "compare", "_report"):
        if getattr(module, "__name__", "").startswith("attn_utils") and hasattr(module, name):
            setattr(module, name, check)
import torch
torch.allclose = torch.equal = lambda *a, **k: True
"""
DEAF_LOOP = """
while True:
    try:
        while True:
            pass
    except BaseException:
        pass
"""
VANDAL = """
import os, shutil, pathlib
for place in ({folder!r}, os.path.expanduser("~"), "."):
    shutil.rmtree(place, ignore_errors=True)
for place in ({folder!r}, {book!r}):
    for file in pathlib.Path(place).rglob("*"):
        try:
            file.write_text("gone")
        except OSError:
            pass
"""
GLUTTON = """
import subprocess
for _ in range(3):
    subprocess.Popen(["sleep", "{marker}"], start_new_session=True)
print("x" * 50_000_000)
hoard = [bytearray(10 ** 9) for _ in range(100)]
"""
LIAR = """
import os, json, struct
text = json.dumps({"value": {"kind": "tensor"}, "passed": True, "points": 99}).encode()
for fd in range(3, 30):
    try:
        os.write(fd, struct.pack(">Q", len(text)) + text)
    except OSError:
        pass
"""
