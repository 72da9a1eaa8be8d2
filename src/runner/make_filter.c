/*
 * Runs while Quell is built: writes the system call filter of the sandbox as a table of BPF
 * instructions, for filter.c. libseccomp takes 4 ms to make it, longer than all else that a
 * start needs, and it is the same each time.
 *
 * Denied is by what a program could get new rights over the kernel (namespaces, mounts, keys, bpf,
 * perf, modules, io_uring ...) or over others; the rest is allowed.
 */
#include <errno.h>
#include <linux/filter.h>
#include <sched.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

struct denial {
	int syscall; /* what this machine's kernel doesn't have is negative, and skipped */
	int error;
};

#define DENY(name) \
	{ \
		SCMP_SYS(name), EPERM \
	}
#define HIDE(name) \
	{ \
		SCMP_SYS(name), ENOSYS \
	} /* callers fall back to what is allowed */

static const struct denial denials[] = {
	DENY(mount),
	DENY(umount2),
	DENY(pivot_root),
	DENY(chroot),
	DENY(fsopen),
	DENY(fspick),
	DENY(fsconfig),
	DENY(fsmount),
	DENY(open_tree),
	DENY(move_mount),
	DENY(mount_setattr),
	DENY(setns),
	DENY(unshare),
	HIDE(clone3),
	DENY(keyctl),
	DENY(add_key),
	DENY(request_key),
	DENY(bpf),
	DENY(perf_event_open),
	DENY(userfaultfd),
	DENY(fanotify_init),
	HIDE(io_uring_setup),
	HIDE(io_uring_enter),
	HIDE(io_uring_register),
	DENY(ptrace),
	DENY(process_vm_readv),
	DENY(process_vm_writev),
	DENY(kcmp),
	DENY(pidfd_getfd),
	DENY(process_madvise),
	DENY(open_by_handle_at),
	DENY(quotactl),
	DENY(quotactl_fd),
	DENY(acct),
	DENY(lookup_dcookie),
	DENY(kexec_load),
	DENY(kexec_file_load),
	DENY(reboot),
	DENY(swapon),
	DENY(swapoff),
	DENY(init_module),
	DENY(finit_module),
	DENY(delete_module),
	DENY(syslog),
	DENY(settimeofday),
	DENY(clock_settime),
	DENY(clock_adjtime),
	DENY(adjtimex),
	DENY(iopl),
	DENY(ioperm),
	DENY(vhangup),
	DENY(move_pages),
	DENY(migrate_pages),
	DENY(nfsservctl),
	DENY(uselib),
	DENY(modify_ldt),
	DENY(vm86),
	DENY(vm86old),
};

/* unshare is denied whole; clone is how programs start threads, so only these flags are. */
static const int namespaces[] = {CLONE_NEWUSER, CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWNET,
	CLONE_NEWIPC, CLONE_NEWUTS, CLONE_NEWCGROUP};

/* Vsock and the like reach past the network namespace, or are corners of the kernel that few look at. */
static const int families[] = {AF_UNIX, AF_INET, AF_INET6, AF_NETLINK};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static int
deny_calls(scmp_filter_ctx ctx)
{
	int r = 0;
	for (size_t i = 0; i < COUNT(denials) && !r; i++) {
		if (denials[i].syscall >= 0)
			r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO((unsigned)denials[i].error),
				denials[i].syscall, 0);
	}
	return r;
}

static int
deny_namespaces(scmp_filter_ctx ctx)
{
	int r = 0;
	for (size_t i = 0; i < COUNT(namespaces) && !r; i++) {
		scmp_datum_t flag = (scmp_datum_t)namespaces[i];
		r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(clone), 1,
			SCMP_A0(SCMP_CMP_MASKED_EQ, flag, flag));
	}
	return r;
}

static bool
is_allowed_family(int family)
{
	for (size_t i = 0; i < COUNT(families); i++) {
		if (families[i] == family)
			return true;
	}
	return false;
}

static int
deny_families(scmp_filter_ctx ctx)
{
	uint32_t refuse = SCMP_ACT_ERRNO(EAFNOSUPPORT);
	int r = seccomp_rule_add(
		ctx, refuse, SCMP_SYS(socket), 1, SCMP_A0(SCMP_CMP_GT, (scmp_datum_t)AF_NETLINK));
	for (int family = 0; family < AF_NETLINK && !r; family++) {
		if (!is_allowed_family(family))
			r = seccomp_rule_add(ctx, refuse, SCMP_SYS(socket), 1,
				SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)family));
	}
	return r;
}

static int
deny_terminal_input(scmp_filter_ctx ctx)
{
	int r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(ioctl), 1,
		SCMP_A1(SCMP_CMP_MASKED_EQ, 0xffffffffu, TIOCSTI));
	return r ? r
		 : seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(ioctl), 1,
			   SCMP_A1(SCMP_CMP_MASKED_EQ, 0xffffffffu, TIOCLINUX));
}

/* libseccomp 2.5 exports to a descriptor only. */
static int
print(scmp_filter_ctx ctx, FILE *out)
{
	struct sock_filter filter;
	int fd = memfd_create("filter", MFD_CLOEXEC);
	int r = fd < 0 ? -errno : seccomp_export_bpf(ctx, fd);
	if (r)
		return r;
	for (off_t at = 0; pread(fd, &filter, sizeof(filter), at) == sizeof(filter);
		at += (off_t)sizeof(filter))
		fprintf(out, "{0x%x, %u, %u, 0x%x},\n", filter.code, filter.jt, filter.jf,
			filter.k);
	return close(fd);
}

static int
make(scmp_filter_ctx ctx, FILE *out)
{
	/* Calls of another architecture (32 bit) would pass by the numbers above. */
	int r = seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ERRNO(ENOSYS));
	r = r ? r : seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	r = r ? r : deny_calls(ctx);
	r = r ? r : deny_namespaces(ctx);
	r = r ? r : deny_families(ctx);
	r = r ? r : deny_terminal_input(ctx);
	return r ? r : print(ctx, out);
}

int
main(int argc, char **argv)
{
	FILE *out = argc == 2 ? fopen(argv[1], "w") : NULL;
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ALLOW);
	int r = out && ctx ? make(ctx, out) : -EINVAL;
	seccomp_release(ctx);
	if (!out || fclose(out) || r) {
		fprintf(stderr, "make the system call filter: %s\n", strerror(-r));
		return 1;
	}
	return 0;
}
