"""The weaker sandbox of Linux: Landlock and system call filters, for hosts where no user namespace can be made.

Nothing is mounted. The action's tree stands at a path of the host's, and the command runs there as the caller's own
process, under rules that it cannot take off.
"""
