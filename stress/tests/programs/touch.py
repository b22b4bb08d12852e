"""One system call that names a file in the directory, by TOUCH; and no election."""
import os
import socket

from protocol import DIRECTORY, path, serve


def socket_call(name):
    try:
        getattr(socket.socket(socket.AF_UNIX), name)(path("socket"))
    except OSError:
        pass


def quietly(call, *arguments):
    try:
        call(*arguments)
    except OSError:
        pass


{
    "bind": lambda: socket_call("bind"),
    "connect": lambda: socket_call("connect"),
    "mkfifo": lambda: quietly(os.mkfifo, path("pipe")),
    "mknod": lambda: quietly(os.mknod, path("node")),
    "chmod": lambda: os.chmod(DIRECTORY, 0o700),
    "utime": lambda: os.utime(DIRECTORY, (1, 1)),
    "setxattr": lambda: quietly(os.setxattr, DIRECTORY, "user.touch", b"1"),
    "link": lambda: quietly(os.link, "/nowhere", path("link")),
    "truncate": lambda: quietly(os.truncate, path("none"), 0),
    "listdir": lambda: os.listdir(DIRECTORY),
    "relative": lambda: (os.chdir("/"), quietly(os.stat, os.path.relpath(path("none"), "/"))),
    "outside": lambda: quietly(os.stat, os.environ["OUTSIDE"]),
    "abstract": lambda: quietly(socket.socket(socket.AF_UNIX).connect, "\0" + os.environ["OUTSIDE"]),
}[os.environ["TOUCH"]]()
serve(lambda: False)
