"""Tells the whole world of an action, to be compared with that of another one."""

import os
import pty
import resource
import stat


def read(path):
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        return error.errno


print("pids", sorted(filter(str.isdigit, os.listdir("/proc"))), os.getpid(), os.fork() or os._exit(0))
os.wait()
for name in ("hostname", "domainname", "cap_last_cap"):
    print(name, read(f"/proc/sys/kernel/{name}"))
for name in ("msg", "sem", "shm"):
    print(name, read(f"/proc/sysvipc/{name}"))
for name in (
    "dev",
    "snmp",
    "snmp6",
    "netstat",
    "route",
    "if_inet6",
    "igmp",
    "igmp6",
    "arp",
    "dev_mcast",
    "fib_trie",
    "ipv6_route",
    "rt6_stats",
    "ip6_flowlabel",
    "dev_snmp6/lo",
    "mcfilter",
    "mcfilter6",
    "anycast6",
    "ptype",
):
    print(name, read(f"/proc/net/{name}"))
for name in ("tcp", "tcp6", "udp", "udp6", "raw", "packet", "icmp"):
    print(name, len(read(f"/proc/net/{name}").splitlines()))
unix = read("/proc/net/unix").splitlines()
print("unix", len(unix), [line for line in unix if len(line.split()) > 7][1:])
print("sockets", read("/proc/net/sockstat").split()[2])
for line in read("/proc/self/mountinfo").splitlines():
    fields = line.split()
    if fields[4] != b"/build":
        print("mount", fields[3:6], fields[-3:-2])
for name in ("oom_score_adj", "coredump_filter", "timerslack_ns", "uid_map", "gid_map", "setgroups", "cgroup"):
    print(name, read(f"/proc/self/{name}"))
print("limits", [resource.getrlimit(number) for number in range(16)])
print("umask", os.umask(0), os.getcwd(), sorted(os.environ), sorted(os.listdir("/proc/self/fd")))
print("terminal", os.ttyname(pty.openpty()[1]))
for top in ("/", "/dev", "/dev/shm", "/dev/pts", "/etc", "/tmp", "/in", "/build"):
    for name in sorted(os.listdir(top)) if os.path.isdir(top) else ():
        found = os.lstat(f"{top}/{name}")
        if name == "proc":  # has a link for every process of the machine
            continue
        print("file", top, name, stat.filemode(found.st_mode), found.st_uid, found.st_gid, found.st_nlink)
    if os.path.isdir(top):
        room = os.statvfs(top)
        print("room", top, room.f_flag, *((room.f_bfree, room.f_ffree) if top in ("/dev/shm", "/tmp") else ()))
