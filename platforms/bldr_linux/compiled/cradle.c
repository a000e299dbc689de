/* Bears pid 1 of one sandbox after the other, and is each of them: the compiled counterpart of init.run_ahead.
 *
 * A cell (Python, cell.py) starts one of these and speaks with it by packets. What is to be done in a sandbox the cell
 * decides (steps.py): it sends programs, lists of system calls, which are executed here and not understood. Only what
 * cannot be written down beforehand is C: to be born, to start the command, to look after it and to tell how it ended.
 *
 * The cell to the cradle:  RUN program [descriptors in slots 0...]   answered by RAN
 *                          AHEAD program                             what every newborn does first
 *                          BIRTH flags count [reports, base, group]  answered by BORN pid [pidfd]
 * The cell to pid 1:       program and command [streams]; later any packet, the answer to STARTED
 * pid 1 to the cell:       MADE [mount namespace], LISTENER [fd], STARTED [pidfd], and last of all OVER or FAILED
 *
 * A packet is a row of 64-bit numbers, the first of which says what it is; programs and strings follow. Nothing is kept
 * here from one sandbox to the next: a newborn is a copy of this process as it was when it was started.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* The same numbers stand in cradle.py and steps.py. */
enum { RUN, AHEAD, BIRTH, RAN, BORN, MADE, LISTENER, STARTED, OVER, FAILED };
enum { PUT = -1, TELL = -2 };        /* steps that are no system calls */
enum { JOIN = -1, RECEIVE = -2 };    /* what fails without being a step */
enum { VALUE, DATA, SLOT };          /* kinds of arguments */
enum { NO_VERDICT, CPU, MEMORY, PROCESSES, NOT_STARTED };
enum { CELL_FD = 3, BASE_FD = 4, QUEUES_FD = 63, STREAMS = 3, SLOTS = 64, DESCRIPTORS = 16 };
enum { PACKET_BYTES = 1 << 16, OPENING_TRIES = 10000, SENDING_TRIES = 10000, SENDING_PAUSE_NS = 1000000 };
enum { NOT_WRITABLE = 2, NOT_EXECUTABLE = 126, NOT_FOUND = 127 };

#define SYSTEM_CALL_OPENAT2 437
#define SYSTEM_CALL_CLOSE_RANGE 436
#define SYSTEM_CALL_PIDFD_OPEN 434
#define SYSTEM_CALL_CLONE3 435
#ifndef SHM_STAT_ANY
#define SHM_STAT_ANY 15
#endif
#define INTO_GROUP 0x200000000ULL    /* CLONE_INTO_CGROUP */

#define SECOND_NS 1000000000LL
#define SAMPLE_AT_LEAST_NS (SECOND_NS / 20)
#define SAMPLE_AT_MOST_NS (60 * SECOND_NS)
#define PROCESSES_EVERY_NS (SECOND_NS / 5)
#define MEMORY_EVERY_NS (SECOND_NS / 20)
#define NEVER INT64_MAX

struct step {
    int32_t number, store, forgiven, skipped;
    uint8_t kinds[8];
    uint64_t arguments[6];
};

struct program {
    uint64_t steps, data_bytes;
    struct step step[];
};

/* What a launch's packet holds behind its program; the strings follow, each with its NUL. */
struct command {
    int64_t announce, candidates, arguments, variables, temporaries;
    int64_t cpu_ns, memory_bytes, processes; /* limits that are counted here; -1 for none */
    int64_t grace_ns, cpus;
    int64_t open_files, open_files_at_most; /* -1 for unlimited */
    char strings[];
};

static uint64_t ahead[PACKET_BYTES / 8];
static uint64_t packet[PACKET_BYTES / 8];
static long slots[SLOTS];

/* ---- Packets ---- */

static int tell_numbers(const int64_t *numbers, int count, int fd) {
    struct iovec content = {(void *)numbers, (size_t)count * sizeof *numbers};
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } ancillary = {{0}};
    struct msghdr message = {.msg_iov = &content, .msg_iovlen = 1};
    if (fd >= 0) {
        message.msg_control = ancillary.bytes;
        message.msg_controllen = sizeof ancillary.bytes;
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof fd);
        memcpy(CMSG_DATA(header), &fd, sizeof fd);
    }
    /* The kernel counts what all processes of the user have on its way against this one's limit of open files. */
    const struct timespec pause = {0, SENDING_PAUSE_NS};
    int tries = SENDING_TRIES;
    while (sendmsg(CELL_FD, &message, MSG_NOSIGNAL) < 0) {
        if (errno != ETOOMANYREFS || --tries == 0)
            return -errno;
        nanosleep(&pause, NULL);
    }
    return 0;
}

static int tell(int64_t kind, int64_t first, int64_t second, int fd) {
    int64_t numbers[] = {kind, first, second};
    return tell_numbers(numbers, 3, fd);
}

/* The length of the next packet, 0 when the cell is gone; its descriptors and their number. */
static size_t hear(int *fds, int *count) {
    struct iovec content = {packet, sizeof packet};
    union {
        char bytes[CMSG_SPACE(DESCRIPTORS * sizeof(int))];
        struct cmsghdr align;
    } ancillary;
    struct msghdr message = {
        .msg_iov = &content, .msg_iovlen = 1, .msg_control = ancillary.bytes, .msg_controllen = sizeof ancillary.bytes};
    ssize_t length;
    do
        length = recvmsg(CELL_FD, &message, MSG_CMSG_CLOEXEC);
    while (length < 0 && errno == EINTR);
    *count = 0;
    struct cmsghdr *header = length > 0 ? CMSG_FIRSTHDR(&message) : NULL;
    if (header && header->cmsg_type == SCM_RIGHTS) {
        *count = (int)((header->cmsg_len - CMSG_LEN(0)) / sizeof(int));
        memcpy(fds, CMSG_DATA(header), (size_t)*count * sizeof(int));
    }
    return length > 0 ? (size_t)length : 0;
}

/* ---- Programs ---- */

static long do_step(const struct step *step, char *data) {
    unsigned long values[6];
    for (int index = 0; index < 6; index++) {
        uint64_t argument = step->arguments[index];
        switch (step->kinds[index]) {
        case DATA: values[index] = (unsigned long)(data + argument); break;
        case SLOT: values[index] = (unsigned long)slots[argument % SLOTS]; break;
        default: values[index] = argument;
        }
    }
    if (step->number == PUT) {
        memcpy((void *)values[0], &values[1], values[2] > 8 ? 8 : values[2]);
        return 0;
    }
    if (step->number == TELL)
        return tell((int64_t)values[0], 0, 0, (int)values[1]);
    /* What is renamed or mounted anywhere on the machine disturbs a path with `..` in it; openat2(2). */
    int tries = step->number == SYSTEM_CALL_OPENAT2 ? OPENING_TRIES : 1;
    long result;
    do
        result = syscall(step->number, values[0], values[1], values[2], values[3], values[4], values[5]);
    while (result < 0 && errno == EAGAIN && --tries > 0);
    return result < 0 ? -errno : result;
}

static size_t program_bytes(const struct program *program) {
    return sizeof *program + program->steps * sizeof(struct step) + program->data_bytes;
}

/* 0, or the error of a step and its index. */
static int run(struct program *program, int64_t *failed) {
    char *data = (char *)&program->step[program->steps];
    for (uint64_t index = 0; index < program->steps; index++) {
        const struct step *step = &program->step[index];
        long result = do_step(step, data);
        if (result < 0 && -result == step->forgiven)
            index += (uint64_t)step->skipped;
        else if (result < 0) {
            *failed = (int64_t)index;
            return (int)-result;
        } else if (step->store >= 0)
            slots[step->store % SLOTS] = result;
    }
    return 0;
}

static _Noreturn void fail(int64_t stage, int64_t step, int error) {
    int64_t numbers[] = {FAILED, stage, step, error};
    tell_numbers(numbers, sizeof numbers / sizeof *numbers, -1);
    _exit(0);
}

static void run_or_fail(struct program *program, int64_t stage) {
    int64_t failed;
    int error = run(program, &failed);
    if (error)
        fail(stage, failed, error);
}

/* ---- What all processes of the sandbox use together; as sampling.py does ---- */

static size_t read_of_process(const char *process, const char *name, char *text, size_t size) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%.20s/%s", process, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = fd < 0 ? 0 : read(fd, text, size - 1);
    if (fd >= 0)
        close(fd);
    text[length > 0 ? length : 0] = 0;
    return length > 0 ? (size_t)length : 0;
}

static void count_process(const char *process, int64_t *ticks, int64_t *threads) {
    char text[2048];
    read_of_process(process, "stat", text, sizeof text);
    char *rest = strrchr(text, ')');
    long long user, system, children_user, children_system, alive;
    if (!rest || sscanf(rest + 1, " %*c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %lld %lld %lld %lld %*s %*s %lld", &user,
                        &system, &children_user, &children_system, &alive) != 5)
        return;
    if (strcmp(process, "1") != 0) {
        *ticks += user + system;
        *threads += alive;
    }
    *ticks += children_user + children_system;
}

static int64_t memory_of_process(const char *process) {
    static const char *const names[] = {"\nRssAnon:", "\nRssShmem:", "\nVmSwap:"};
    char text[8192];
    int64_t total = 0;
    if (strcmp(process, "1") != 0 && read_of_process(process, "status", text, sizeof text))
        for (size_t index = 0; index < sizeof names / sizeof *names; index++) {
            const char *line = strstr(text, names[index]);
            if (line)
                total += strtoll(line + strlen(names[index]), NULL, 10) << 10;
        }
    return total;
}

/* Any of the results may be NULL, when nobody asks. */
static void sample(int64_t *cpu_ns, int64_t *threads, int64_t *memory_bytes) {
    int64_t ticks = 0, alive = 0, memory = 0;
    DIR *processes = opendir("/proc");
    struct dirent *entry;
    while (processes && (entry = readdir(processes)))
        if (isdigit((unsigned char)entry->d_name[0])) {
            if (cpu_ns || threads)
                count_process(entry->d_name, &ticks, &alive);
            if (memory_bytes)
                memory += memory_of_process(entry->d_name);
        }
    if (processes)
        closedir(processes);
    if (cpu_ns)
        *cpu_ns = ticks * (SECOND_NS / sysconf(_SC_CLK_TCK));
    if (threads)
        *threads = alive;
    if (memory_bytes)
        *memory_bytes = memory;
}

static int64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * SECOND_NS + now.tv_nsec;
}

/* ---- The command; as command.py does ---- */

struct launch {
    const struct command *command;
    char **candidates, **arguments, **variables, **temporaries;
    const char *into, *not_found, *name;
    int64_t verdict, used, deadline_ns;
};

static char **take(char **strings, int64_t count) {
    char **taken = calloc((size_t)count + 1, sizeof *taken);
    if (!taken)
        _exit(1);
    for (int64_t index = 0; index < count; index++) {
        taken[index] = *strings;
        *strings += strlen(*strings) + 1;
    }
    return taken;
}

static void understand(struct launch *launch, struct command *command) {
    char *strings = command->strings;
    char **texts = take(&strings, 3);
    launch->command = command;
    launch->into = texts[0];
    launch->name = texts[1];
    launch->not_found = texts[2];
    launch->candidates = take(&strings, command->candidates);
    launch->arguments = take(&strings, command->arguments);
    launch->variables = take(&strings, command->variables);
    launch->temporaries = take(&strings, command->temporaries);
    launch->verdict = NO_VERDICT;
}

static int complain(const char *name, const char *reason, int exit_code) {
    dprintf(STDERR_FILENO, "bldr: %s: %s\n", name, reason);
    return exit_code;
}

static const char *reason_of(const char *before, int error) {
    static char reason[256];
    snprintf(reason, sizeof reason, "%s%s", before, strerror(error));
    for (char *letter = reason; *letter; letter++)
        *letter = (char)tolower((unsigned char)*letter);
    return reason;
}

/* What `>` of a shell does. */
static int redirect(const struct launch *launch) {
    int fd = open(launch->into, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0)
        return complain(launch->into, reason_of("cannot be written: ", errno), NOT_WRITABLE);
    dup2(fd, STDOUT_FILENO);
    close(fd);
    return 0;
}

static int cannot_start(const struct launch *launch, const char *path, int error) {
    struct stat found;
    if (error == ENOENT)
        return complain(launch->name, lstat(path, &found) == 0 ? "its interpreter or loader is not in the sandbox" : "no such file",
                        NOT_FOUND);
    return complain(launch->name, reason_of("", error), NOT_EXECUTABLE);
}

/* The first executable file of the candidates; else the first file, so that the right error is reported. */
static const char *choose(const struct launch *launch) {
    const char *found = NULL;
    struct stat status;
    if (launch->command->candidates == 1 && strchr(launch->name, '/'))
        return launch->candidates[0];
    for (char **candidate = launch->candidates; *candidate; candidate++)
        if (stat(*candidate, &status) == 0 && S_ISREG(status.st_mode)) {
            if (access(*candidate, X_OK) == 0)
                return *candidate;
            found = found ? found : *candidate;
        }
    return found;
}

static pid_t start(const struct launch *launch, const char *path, int *error) {
    volatile int failed = 0;
    const struct rlimit files = {(rlim_t)launch->command->open_files, (rlim_t)launch->command->open_files_at_most};
    sigset_t none;
    sigemptyset(&none);
    pid_t pid = vfork();
    if (pid == 0) {
        setsid();
        sigprocmask(SIG_SETMASK, &none, NULL);
        /* Not before: pid 1 has descriptors to send, and the kernel counts those of all the user's processes. */
        if (setrlimit(RLIMIT_NOFILE, &files) == 0)
            execve(path, launch->arguments, launch->variables);
        failed = errno;
        _exit(NOT_FOUND);
    }
    *error = pid < 0 ? errno : failed;
    if (pid > 0 && failed)
        waitpid(pid, NULL, 0);
    return pid;
}

/* How long until a limit may be reached at the earliest, all processors counted. */
static int64_t pause_ns(const struct launch *launch) {
    const struct command *command = launch->command;
    int64_t pause = NEVER, used_ns;
    if (launch->verdict != NO_VERDICT)
        return launch->deadline_ns > now_ns() ? launch->deadline_ns - now_ns() : 0;
    if (command->processes >= 0)
        pause = PROCESSES_EVERY_NS;
    if (command->memory_bytes >= 0)
        pause = MEMORY_EVERY_NS;
    if (command->cpu_ns >= 0) {
        sample(&used_ns, NULL, NULL);
        int64_t left_ns = (command->cpu_ns - used_ns) / command->cpus;
        left_ns = left_ns < SAMPLE_AT_LEAST_NS ? SAMPLE_AT_LEAST_NS : left_ns;
        left_ns = left_ns > SAMPLE_AT_MOST_NS ? SAMPLE_AT_MOST_NS : left_ns;
        pause = left_ns < pause ? left_ns : pause;
    }
    return pause;
}

static void reach(struct launch *launch, int64_t verdict, int64_t used, int64_t deadline_ns, int signal) {
    launch->verdict = verdict;
    launch->used = used;
    launch->deadline_ns = deadline_ns;
    kill(-1, signal);
}

static void look_at_limits(struct launch *launch) {
    const struct command *command = launch->command;
    int64_t now = now_ns(), used_ns = 0, threads = 0, memory = 0;
    if (launch->verdict != NO_VERDICT) {
        if (now >= launch->deadline_ns)
            kill(-1, SIGKILL);
        return;
    }
    int counts = command->cpu_ns >= 0 || command->processes >= 0;
    if (!counts && command->memory_bytes < 0)
        return;
    sample(counts ? &used_ns : NULL, counts ? &threads : NULL, command->memory_bytes >= 0 ? &memory : NULL);
    for (char **path = launch->temporaries; command->memory_bytes >= 0 && *path; path++) {
        struct statvfs room;
        if (statvfs(*path, &room) == 0)
            memory += (int64_t)(room.f_blocks - room.f_bfree) * (int64_t)room.f_frsize;
    }
    if (command->cpu_ns >= 0 && used_ns >= command->cpu_ns)
        reach(launch, CPU, used_ns, now + command->grace_ns, SIGXCPU);
    else if (command->memory_bytes >= 0 && memory > command->memory_bytes)
        reach(launch, MEMORY, memory, now, SIGKILL);
    else if (command->processes >= 0 && threads >= command->processes)
        reach(launch, PROCESSES, threads, now, SIGKILL);
}

/* Signals from outside go on to the command; whoever has a process id here is inside. */
static void pass_on(const siginfo_t *received, pid_t command) {
    int number = received->si_signo;
    if (number == SIGCHLD || received->si_pid != 0)
        return;
    /* What stops a job from the terminal does nothing to the leader of a session: its group is orphaned. */
    if (number == SIGTSTP || number == SIGTTIN || number == SIGTTOU)
        number = SIGSTOP;
    kill(received->si_signo == SIGXCPU ? -1 : -command, number);
}

static void expected_signals(sigset_t *set) {
    static const int numbers[] = {SIGCHLD, SIGHUP,   SIGINT,  SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2,
                                  SIGCONT, SIGWINCH, SIGXCPU, SIGTSTP, SIGTTIN, SIGTTOU};
    sigemptyset(set);
    for (size_t index = 0; index < sizeof numbers / sizeof *numbers; index++)
        sigaddset(set, numbers[index]);
}

/* Collect whoever is dead: whether the command is among them. */
static int reap(pid_t command, int *status) {
    int of_one;
    pid_t pid;
    while ((pid = waitpid(-1, &of_one, WNOHANG)) > 0)
        if (pid == command) {
            *status = of_one;
            return 1;
        }
    return 0;
}

static int look_after(struct launch *launch, pid_t pid) {
    sigset_t expected;
    siginfo_t received;
    int status = 0;
    expected_signals(&expected);
    for (;;) {
        int64_t pause = pause_ns(launch);
        struct timespec timeout = {pause / SECOND_NS, pause % SECOND_NS};
        if (sigtimedwait(&expected, &received, pause == NEVER ? NULL : &timeout) > 0)
            pass_on(&received, pid);
        /* After every signal: in a storm of others the one that tells of a dead child may never have its turn. */
        if (reap(pid, &status))
            break;
        look_at_limits(launch);
    }
    if (status && launch->command->processes >= 0 && launch->verdict == NO_VERDICT) {
        /* It failed; the others that are still there tell whether that was for want of one more process. */
        int64_t threads;
        sample(NULL, &threads, NULL);
        if (++threads >= launch->command->processes) {
            launch->verdict = PROCESSES;
            launch->used = threads;
        }
    }
    return status;
}

/* ---- The end ---- */

/* Whoever is left is killed and waited for here, or nobody would be told what they used. */
static void end_the_rest(void) {
    if (kill(-1, SIGKILL) == 0)
        while (waitpid(-1, NULL, 0) > 0 || errno == EINTR)
            ;
}

/* The kernel frees an IPC namespace too late for the next launch's limits; see interprocess.py. */
static void clear_interprocess(void) {
    struct dirent *entry;
    DIR *queues = fdopendir(QUEUES_FD);
    while (queues && (entry = readdir(queues)))
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            syscall(SYS_mq_unlink, entry->d_name);
    struct shm_info room;
    int last = shmctl(0, SHM_INFO, (struct shmid_ds *)&room);
    for (int index = 0; room.used_ids > 0 && index <= last; index++) {
        struct shmid_ds segment;
        int identifier = shmctl(index, SHM_STAT_ANY, &segment); /* also one that its owner may not read */
        if (identifier >= 0)
            shmctl(identifier, IPC_RMID, NULL);
    }
}

static int64_t microseconds(struct timeval time) {
    return time.tv_sec * 1000000LL + time.tv_usec;
}

static void tell_of_the_end(const struct launch *launch, int status) {
    struct rusage own, others;
    getrusage(RUSAGE_SELF, &own);
    getrusage(RUSAGE_CHILDREN, &others);
    int64_t of_others = microseconds(others.ru_utime) + microseconds(others.ru_stime);
    int64_t numbers[] = {
        OVER,
        status,
        launch->verdict,
        launch->used,
        of_others,
        of_others + microseconds(own.ru_utime) + microseconds(own.ru_stime),
        (own.ru_maxrss > others.ru_maxrss ? own.ru_maxrss : others.ru_maxrss) << 10,
        (own.ru_inblock + others.ru_inblock) * 512,
        (own.ru_oublock + others.ru_oublock) * 512,
    };
    tell_numbers(numbers, sizeof numbers / sizeof *numbers, -1);
}

static void be_told(void) {
    char answer[16];
    if (read(CELL_FD, answer, sizeof answer) <= 0)
        _exit(0); /* the cell is gone */
}

static int do_command(struct launch *launch) {
    int error, status;
    launch->verdict = NOT_STARTED;
    if (*launch->into && (error = redirect(launch)))
        return error << 8;
    const char *path = choose(launch);
    if (!path)
        return complain(launch->name, launch->not_found, NOT_FOUND) << 8;
    pid_t pid = start(launch, path, &error);
    if (error)
        return cannot_start(launch, path, error) << 8;
    launch->verdict = NO_VERDICT;
    for (int fd = 0; fd <= STDERR_FILENO; fd++)
        close(fd); /* the command's; and under its own limit there may be no other left for what follows */
    if (launch->command->announce) {
        int pidfd = (int)syscall(SYSTEM_CALL_PIDFD_OPEN, pid, 0);
        int told = tell(STARTED, 0, 0, pidfd);
        if (told < 0)
            fail(1, RECEIVE, -told);
        close(pidfd);
        be_told(); /* a process that is reaped has no number any more that could be told */
    }
    status = look_after(launch, pid);
    end_the_rest();
    return status;
}

/* ---- Life ---- */

static void die_with_the_cell(void) {
    struct pollfd cell = {.fd = CELL_FD};
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_DUMPABLE, 0); /* nor traced, nor its executable reached, by the command, who is the same user */
    if (poll(&cell, 1, 0) > 0)
        _exit(0); /* it had died before: nobody holds the socket's other end */
}

static void join_group(int group) {
    int fd = openat(group, "cgroup.procs", O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, "0", 1) < 0)
        fail(0, JOIN, errno);
    close(fd);
}

/* The launch's packet, or the file that it is in where it is too large for one. */
static struct program *launch_packet(const int *fds, int *count, size_t length) {
    struct stat status;
    if (length > sizeof(uint64_t))
        return (struct program *)packet;
    if (*count < 1)
        fail(1, RECEIVE, EMFILE);
    int fd = fds[--*count];
    if (fstat(fd, &status) < 0)
        fail(1, RECEIVE, errno);
    void *content = mmap(NULL, (size_t)status.st_size, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    if (content == MAP_FAILED)
        fail(1, RECEIVE, errno);
    close(fd);
    return content;
}

static void live(int reports, int base, int group) {
    int fds[DESCRIPTORS], count;
    struct launch launch = {0};
    if (dup3(reports, CELL_FD, O_CLOEXEC) < 0)
        _exit(1); /* what it says would be taken for the cradle's word */
    if (group >= 0)
        join_group(group);
    if (base != BASE_FD)
        dup3(base, BASE_FD, O_CLOEXEC);
    syscall(SYSTEM_CALL_CLOSE_RANGE, BASE_FD + 1, ~0U, 0);
    prctl(PR_SET_NAME, "bldr-pid-1");
    die_with_the_cell();
    run_or_fail((struct program *)ahead, 0);
    size_t length = hear(fds, &count);
    if (!length)
        _exit(0); /* there is no use for this sandbox */
    struct program *program = launch_packet(fds, &count, length);
    if (count != STREAMS) /* the kernel drops what there is no room for; what is open here is no command's */
        fail(1, RECEIVE, EMFILE);
    for (int number = 0; number < STREAMS; number++) {
        dup2(fds[number], number);
        close(fds[number]);
    }
    run_or_fail(program, 1);
    understand(&launch, (struct command *)((char *)program + program_bytes(program)));
    int status = do_command(&launch);
    clear_interprocess();
    tell_of_the_end(&launch, status);
    _exit(0);
}

/* Its parent is the cell, which waits for it. */
static void bear(uint64_t flags, uint64_t expected, const int *fds, int count) {
    if ((uint64_t)count != expected || count < 2) { /* the kernel drops what there is no room for */
        tell(BORN, -EMFILE, 0, -1);
        return;
    }
    int pidfd = -1, group = count > 2 ? fds[2] : -1;
    struct clone_args how = {.flags = flags | CLONE_PARENT | CLONE_PIDFD, .pidfd = (uint64_t)(uintptr_t)&pidfd};
    if (group >= 0) {
        how.flags |= INTO_GROUP;
        how.cgroup = (unsigned)group;
    }
    int joins = 0;
    long pid = syscall(SYSTEM_CALL_CLONE3, &how, sizeof how);
    if (pid < 0 && errno == ENOSYS) { /* so container runtimes answer clone3, whose arguments they cannot see */
        joins = group >= 0;
        pid = syscall(SYS_clone, (unsigned long)(flags | CLONE_PARENT | CLONE_PIDFD), NULL, &pidfd, NULL, NULL);
    }
    if (pid == 0)
        live(fds[0], fds[1], joins ? group : -1);
    tell(BORN, pid < 0 ? -errno : pid, 0, pidfd);
    if (pidfd >= 0)
        close(pidfd);
}

int main(void) {
    int fds[DESCRIPTORS], count;
    size_t length;
    prctl(PR_SET_NAME, "bldr-cradle");
    memset(slots, 0xff, sizeof slots); /* no descriptors */
    die_with_the_cell();
    while ((length = hear(fds, &count))) {
        struct program *program = (struct program *)(packet + 1);
        int64_t failed = -1;
        if (packet[0] == AHEAD)
            memcpy(ahead, program, length - sizeof *packet);
        else if (packet[0] == BIRTH)
            bear(packet[1], packet[2], fds, count);
        else {
            for (int index = 0; index < count; index++)
                slots[index] = fds[index];
            int error = run(program, &failed);
            tell(RAN, failed, error, -1);
        }
        for (int index = 0; index < count; index++)
            close(fds[index]);
    }
    return 0;
}
