/* What a hostile action would try. Each argument names one attempt; each prints "attempt: ok" or "attempt: ERRNO". */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/keyctl.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/ipc.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *argument;

static long raw(long number, long a, long b, long c, long d, long e) { return syscall(number, a, b, c, d, e, 0); }

static long try_keyctl(void) { return raw(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_USER_KEYRING, 0, 0, 0); }
static long try_add_key(void) { return raw(SYS_add_key, (long)"user", (long)"x", (long)"y", 1, KEY_SPEC_USER_KEYRING); }
static long try_request_key(void) { return raw(SYS_request_key, (long)"user", (long)argument, 0, KEY_SPEC_USER_KEYRING, 0); }
static long try_io_uring(void) { char params[256] = {0}; return raw(425, 4, (long)params, 0, 0, 0); }
static long try_bpf(void) { char attr[128] = {1, 0, 0, 0, 4, 0, 0, 0, 4, 0, 0, 0, 1}; return raw(SYS_bpf, 0, (long)attr, sizeof attr, 0, 0); }
static long try_userfaultfd(void) { return raw(SYS_userfaultfd, 1, 0, 0, 0, 0); }
static long try_perf(void) { char attr[128] = {1, 0, 0, 0, 112}; return raw(SYS_perf_event_open, (long)attr, 0, -1, -1, 0); }
static long try_mount(void) { return mount("none", "/tmp", "tmpfs", 0, ""); }
static long try_remount(void) { return mount("none", "/", "", MS_REMOUNT | MS_BIND, ""); }
static long try_umount(void) { return umount2("/proc", MNT_DETACH); }
static long try_fsopen(void) { return raw(430, (long)"tmpfs", 0, 0, 0, 0); }
static long try_open_tree(void) { return raw(428, AT_FDCWD, (long)"/", 1, 0, 0); }
static long try_chroot(void) { return chroot("/tmp"); }
static long try_pivot_root(void) { return raw(SYS_pivot_root, (long)"/tmp", (long)"/tmp", 0, 0, 0); }
static long try_setns(void) { int fd = open("/proc/self/ns/net", O_RDONLY); return fd < 0 ? -1 : setns(fd, 0); }
static long try_unshare_user(void) { return unshare(CLONE_NEWUSER); }
static long try_unshare_user_high(void) { return raw(SYS_unshare, (1L << 40) | CLONE_NEWUSER, 0, 0, 0, 0); }
static long try_unshare_mount(void) { return unshare(CLONE_NEWNS); }
static long try_unshare_time(void) { return unshare(0x80); }
static long try_unshare_files(void) { return unshare(CLONE_FILES); }
static long ends(long pid) { if (pid == 0) _exit(0); return pid < 0 ? -1 : waitpid(pid, 0, 0); }
static long try_clone_user(void) { return ends(raw(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0)); }
static long try_clone_user_high(void) { return ends(raw(SYS_clone, (1L << 40) | CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0)); }
static long try_clone3(void) { unsigned long args[11] = {CLONE_NEWUSER, 0, 0, 0, SIGCHLD}; return ends(raw(435, (long)args, 88, 0, 0, 0)); }
static long try_fork(void) { return ends(fork()); }
static long try_sethostname(void) { return sethostname("evil", 4); }
static long try_kill_init(void) { return kill(1, SIGKILL) || kill(1, SIGSTOP) || kill(1, SIGTERM) || kill(1, SIGINT); }
static long try_trace_init(void) { return ptrace(PTRACE_ATTACH, 1, 0, 0); }
static long try_read_init(void) { char buffer[8]; struct iovec v = {buffer, 8}; return process_vm_readv(1, &v, 1, &v, 1, 0); }
static long init_fd(void) { return raw(434, 1, 0, 0, 0, 0); }
static long try_steal_fd(void) { long fd = init_fd(); return fd < 0 ? -1 : raw(438, fd, 3, 0, 0, 0); }
static long try_compare_init(void) { return raw(SYS_kcmp, 1, getpid(), 2, 0, 0); }
static long try_setns_init(void) { long fd = init_fd(); return fd < 0 ? -1 : setns(fd, CLONE_NEWNS); }
static long try_open_tree_attr(void) { unsigned long attributes[4] = {0}; return raw(467, AT_FDCWD, (long)"/", 1, (long)attributes, 32); }
static long try_relabel(void) { return raw(460, 100, (long)"", 0, 0, 0); }
static long try_unjudged(void) { return raw(470, 0, 0, 0, 0, 0); }
static long try_own_filter(void)
{
	struct { unsigned short code; unsigned char yes, no; unsigned int value; } allow = {6, 0, 0, 0x7fff0000};
	struct { unsigned short count; void *code; } program = {1, &allow};
	return raw(SYS_seccomp, 1, 0, (long)&program, 0, 0);
}
static long try_trace_child(void)
{
	pid_t pid = fork();
	if (pid == 0) { pause(); _exit(0); }
	long result = ptrace(PTRACE_ATTACH, pid, 0, 0);
	if (result == 0) { waitpid(pid, 0, 0); ptrace(PTRACE_DETACH, pid, 0, 0); }
	kill(pid, SIGKILL);
	waitpid(pid, 0, 0);
	return result;
}
static long take_terminal(void) { if (getpid() == getpgrp() && getsid(0) == getpid()) ioctl(0, TIOCSCTTY, 0); return 0; }
static long try_tiocsti(void) { take_terminal(); return raw(SYS_ioctl, 0, TIOCSTI, (long)"x", 0, 0); }
static long try_tiocsti_high(void) { take_terminal(); return raw(SYS_ioctl, 0, (1L << 32) | TIOCSTI, (long)"x", 0, 0); }
static long try_tioclinux(void) { char c = 3; return raw(SYS_ioctl, 0, TIOCLINUX, (long)&c, 0, 0); }
static long try_tioclinux_high(void) { char c = 3; return raw(SYS_ioctl, 0, (1L << 63) | TIOCLINUX, (long)&c, 0, 0); }
static long try_tiocgwinsz(void) { struct winsize size; return ioctl(0, TIOCGWINSZ, &size); }
static long connect_unix(int abstract)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	strncpy(address.sun_path + abstract, argument, sizeof address.sun_path - 2);
	socklen_t length = offsetof(struct sockaddr_un, sun_path) + abstract + strlen(argument) + (abstract ? 0 : 1);
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	return fd < 0 ? -1 : connect(fd, (void *)&address, length);
}
static long try_abstract_socket(void) { return connect_unix(1); }
static long try_path_socket(void) { return connect_unix(0); }
static long try_tcp(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(atoi(argument)), .sin_addr = {htonl(INADDR_LOOPBACK)}};
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	return fd < 0 ? -1 : connect(fd, (void *)&address, sizeof address);
}
static long try_route_out(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(53), .sin_addr = {htonl(0xC0000201)}};
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	return fd < 0 ? -1 : connect(fd, (void *)&address, sizeof address);
}
static long try_own_loopback(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t length = sizeof address;
	int server = socket(AF_INET, SOCK_STREAM, 0), client = socket(AF_INET, SOCK_STREAM, 0);
	if (bind(server, (void *)&address, length) || listen(server, 1) || getsockname(server, (void *)&address, &length))
		return -1;
	return connect(client, (void *)&address, length);
}
static long try_vsock(void) { return socket(40, SOCK_STREAM, 0); }
static long try_alg(void) { return socket(38, SOCK_SEQPACKET, 0); }
static long try_packet(void) { return socket(AF_PACKET, SOCK_RAW, 0); }
static long try_raw_socket(void) { return socket(AF_INET, SOCK_RAW, 1); }
static long try_netlink(void) { return socket(AF_NETLINK, SOCK_RAW, 0); }
static long try_shm(void) { return shmget(atoi(argument), 0, 0); }
static long try_own_shm(void) { return shmget(IPC_PRIVATE, 4096, IPC_CREAT | 0600); }
static long try_read(void) { return open(argument, O_RDONLY); }
static long try_write(void) { return open(argument, O_WRONLY); }
static long try_create(void) { return open(argument, O_WRONLY | O_CREAT, 0600); }
static long try_device(void) { return mknod("/tmp/mem", S_IFCHR | 0600, (1 << 8) | 1); }
static long try_handle(void)
{
	struct { struct file_handle handle; char bytes[128]; } at = {.handle = {.handle_bytes = 128}};
	int mount_id;
	if (name_to_handle_at(AT_FDCWD, "/", &at.handle, &mount_id, 0))
		at.handle.handle_bytes = 8;
	return open_by_handle_at(AT_FDCWD, &at.handle, O_RDONLY);
}
static long try_new_privileges(void) { return prctl(PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0); }
static long try_setuid(void) { return setuid(0); }
static long try_setgroups(void) { return raw(SYS_setgroups, 0, 0, 0, 0, 0); }
static long try_ambient(void) { return prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, 21, 0, 0); }
static long try_descriptors(void)
{
	for (int fd = 0; fd < 65536; fd++)
		if ((fcntl(fd, F_GETFD) >= 0) != (fd < 3)) { errno = EMFILE; return -1; }
	return 0;
}
static long try_leave(void)
{
	/* Descriptors are the classic way out: the current directory, and whatever else is open. */
	for (int fd = 0; fd < 1024; fd++) {
		struct stat s;
		if (fstat(fd, &s) == 0 && S_ISDIR(s.st_mode))
			return openat(fd, "../../../../etc/passwd", O_RDONLY);
	}
	errno = EBADF;
	return -1;
}
#ifdef __x86_64__
static long int80(long number, long b, long c)
{
	long result;
	__asm__ volatile("int $0x80" : "=a"(result) : "a"(number), "b"(b), "c"(c) : "memory");
	if (result < 0) { errno = -(int)result; return -1; }
	return result;
}
static long try_i386_getpid(void) { return int80(20, 0, 0); }
static long try_i386_unshare(void) { return int80(310, CLONE_NEWUSER, 0); }
static long try_i386_keyctl(void) { return int80(288, 0, -4); }
static long try_x32_getpid(void) { return raw(0x40000000 | SYS_getpid, 0, 0, 0, 0, 0); }
static long try_x32_unshare(void) { return raw(0x40000000 | SYS_unshare, CLONE_NEWUSER, 0, 0, 0, 0); }
#endif

static const struct { const char *name; long (*attempt)(void); } attempts[] = {
#define ATTEMPT(name) {#name, try_##name}
	ATTEMPT(keyctl), ATTEMPT(add_key), ATTEMPT(request_key), ATTEMPT(io_uring), ATTEMPT(bpf), ATTEMPT(userfaultfd),
	ATTEMPT(perf), ATTEMPT(mount), ATTEMPT(remount), ATTEMPT(umount), ATTEMPT(fsopen), ATTEMPT(open_tree),
	ATTEMPT(chroot), ATTEMPT(pivot_root), ATTEMPT(setns), ATTEMPT(unshare_user), ATTEMPT(unshare_user_high),
	ATTEMPT(unshare_mount), ATTEMPT(unshare_time), ATTEMPT(unshare_files), ATTEMPT(clone_user),
	ATTEMPT(clone_user_high), ATTEMPT(clone3), ATTEMPT(fork), ATTEMPT(sethostname), ATTEMPT(kill_init),
	ATTEMPT(trace_init), ATTEMPT(read_init), ATTEMPT(steal_fd), ATTEMPT(compare_init), ATTEMPT(setns_init),
	ATTEMPT(open_tree_attr), ATTEMPT(relabel), ATTEMPT(unjudged), ATTEMPT(own_filter), ATTEMPT(trace_child), ATTEMPT(tiocsti), ATTEMPT(tiocsti_high),
	ATTEMPT(tioclinux), ATTEMPT(tioclinux_high), ATTEMPT(tiocgwinsz), ATTEMPT(abstract_socket), ATTEMPT(path_socket),
	ATTEMPT(tcp), ATTEMPT(route_out), ATTEMPT(own_loopback), ATTEMPT(vsock), ATTEMPT(alg), ATTEMPT(packet),
	ATTEMPT(raw_socket), ATTEMPT(netlink), ATTEMPT(shm), ATTEMPT(own_shm), ATTEMPT(read), ATTEMPT(write),
	ATTEMPT(create), ATTEMPT(device), ATTEMPT(handle), ATTEMPT(new_privileges), ATTEMPT(setuid), ATTEMPT(setgroups),
	ATTEMPT(ambient), ATTEMPT(leave), ATTEMPT(descriptors),
#ifdef __x86_64__
	ATTEMPT(i386_getpid), ATTEMPT(i386_unshare), ATTEMPT(i386_keyctl), ATTEMPT(x32_getpid), ATTEMPT(x32_unshare),
#endif
};

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		argument = strchr(argv[i], '=');
		size_t length = argument ? (size_t)(argument++ - argv[i]) : strlen(argv[i]);
		for (size_t k = 0; k < sizeof attempts / sizeof *attempts; k++) {
			if (strlen(attempts[k].name) != length || strncmp(attempts[k].name, argv[i], length))
				continue;
			errno = 0;
			long result = attempts[k].attempt();
			printf("%s: %s\n", argv[i], result < 0 ? strerrorname_np(errno) : "ok");
			fflush(stdout);
		}
	}
	return 0;
}
