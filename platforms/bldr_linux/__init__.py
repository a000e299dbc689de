"""The Linux platform: every action in fresh namespaces, on an overlay of its own, started by a small resident launcher.

The engine's side is `sandbox`, `probe`, `compile`, `failures` and `client`; the launcher's side, which must fork
quickly and therefore imports next to nothing, is `launcher`, `init`, `apply`, `seccomp`, `syscalls` and `wire`.
Between the two go plans: plain data, described in `plan`.
"""
