//! System calls, with seccomp: calls that only administrators and debuggers need are refused.
//!
//! It is a deny list, not an allow list: system libraries for Kerberos and name service run in this process, and a new version of
//! one may need a call missing from an old list.

use std::collections::BTreeMap;

use nix::libc;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch,
};

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// Refused whatever the arguments.
const REFUSED: &[i64] = &[
    // Other programs, and other processes.
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_memfd_create,
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_kcmp,
    libc::SYS_pidfd_getfd,
    // Other privileges.
    libc::SYS_setuid,
    libc::SYS_setgid,
    libc::SYS_setreuid,
    libc::SYS_setregid,
    libc::SYS_setresuid,
    libc::SYS_setresgid,
    libc::SYS_setfsuid,
    libc::SYS_setfsgid,
    libc::SYS_setgroups,
    libc::SYS_capset,
    // Other views of the file system.
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_name_to_handle_at,
    libc::SYS_open_by_handle_at,
    libc::SYS_fanotify_init,
    libc::SYS_quotactl,
    libc::SYS_mknodat,
    // The kernel itself, and parts in which vulnerabilities are often found.
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_acct,
    libc::SYS_syslog,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_personality,
    libc::SYS_vhangup,
    libc::SYS_move_pages,
    libc::SYS_migrate_pages,
    libc::SYS_shmget,
    libc::SYS_shmat,
    // The machine's clock and name.
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_adjtimex,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
];

#[cfg(target_arch = "x86_64")]
const REFUSED_OF_THIS_MACHINE: &[i64] = &[
    libc::SYS_mknod,
    libc::SYS_iopl,
    libc::SYS_ioperm,
    libc::SYS_modify_ldt,
    libc::SYS_kexec_file_load,
    libc::SYS_uselib,
    libc::SYS_ustat,
    libc::SYS_sysfs,
];
#[cfg(not(target_arch = "x86_64"))]
const REFUSED_OF_THIS_MACHINE: &[i64] = &[];

/// The kernel's store of keys. Kerberos may keep its tickets there.
const KEYRINGS: &[i64] = &[libc::SYS_add_key, libc::SYS_request_key, libc::SYS_keyctl];

/// Reported as unknown to the kernel: the C library then uses the older call, whose arguments can be checked.
const UNKNOWN: &[i64] = &[
    libc::SYS_clone3,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
];

/// Allowed socket families: Internet, Unix, and the one for querying the machine's addresses.
const SOCKETS: [i32; 4] = [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK];

/// New namespaces, in which even an ordinary user is root.
const NAMESPACES: [i32; 7] = [
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWNS,
    libc::CLONE_NEWNET,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWUTS,
    libc::CLONE_NEWCGROUP,
];

/// Calls with the other numbering on 64-bit machines (x32) have this bit set.
#[cfg(target_arch = "x86_64")]
const OTHER_NUMBERING: i64 = 0x4000_0000;

/// Sets the filter for this thread and those that it starts.
///
/// # Errors
///
/// Why not.
pub(super) fn restrict(kerberos: bool) -> Result<(), String> {
    let machine: TargetArch = std::env::consts::ARCH
        .try_into()
        .map_err(|_| "there is no filter for this kind of machine".to_owned())?;
    let failed = |error: &dyn std::error::Error| format!("the kernel takes no filter: {error}");
    let rules = rules(kerberos).map_err(|error| failed(&error))?;
    let unknown = UNKNOWN.iter().map(|call| (*call, Vec::new())).collect();
    for (rules, code) in [(rules, libc::EPERM), (unknown, libc::ENOSYS)] {
        let action = SeccompAction::Errno(code.unsigned_abs());
        let filter = SeccompFilter::new(rules, SeccompAction::Allow, action, machine);
        let program: BpfProgram = filter
            .and_then(TryInto::try_into)
            .map_err(|error| failed(&error))?;
        seccompiler::apply_filter(&program).map_err(|error| failed(&error))?;
    }
    Ok(())
}

fn rules(kerberos: bool) -> Result<Rules, seccompiler::BackendError> {
    let keyrings: &[i64] = if kerberos { &[] } else { KEYRINGS };
    let mut rules: Rules = [REFUSED, REFUSED_OF_THIS_MACHINE, keyrings]
        .concat()
        .into_iter()
        .map(|call| (call, Vec::new()))
        .collect();
    let is = |argument: u8, operator: SeccompCmpOp, value: u64| {
        SeccompCondition::new(argument, SeccompCmpArgLen::Dword, operator, value)
    };
    let has = |argument: u8, bits: i32| {
        let bits = u64::from(bits.unsigned_abs());
        SeccompRule::new(vec![is(argument, SeccompCmpOp::MaskedEq(bits), bits)?])
    };
    let others = SOCKETS.map(|kind| is(0, SeccompCmpOp::Ne, u64::from(kind.unsigned_abs())));
    let others = SeccompRule::new(others.into_iter().collect::<Result<_, _>>()?)?;
    rules.insert(libc::SYS_socket, vec![others]);
    let namespaces = NAMESPACES.iter().map(|bits| has(0, *bits));
    rules.insert(libc::SYS_clone, namespaces.collect::<Result<_, _>>()?);
    // Written memory is never executed.
    rules.insert(libc::SYS_mmap, vec![has(2, libc::PROT_WRITE | libc::PROT_EXEC)?]);
    rules.insert(libc::SYS_mprotect, vec![has(2, libc::PROT_EXEC)?]);
    rules.insert(libc::SYS_pkey_mprotect, vec![has(2, libc::PROT_EXEC)?]);
    // A setuid or setgid file.
    let lends = |argument| Ok(vec![has(argument, 0o4000)?, has(argument, 0o2000)?]);
    rules.insert(libc::SYS_fchmod, lends(1)?);
    rules.insert(libc::SYS_fchmodat, lends(2)?);
    #[cfg(target_arch = "x86_64")]
    rules.insert(libc::SYS_chmod, lends(1)?);
    // Keystrokes into the terminal from which the server was started.
    let keystrokes = [libc::TIOCSTI, libc::TIOCLINUX];
    let keystrokes = keystrokes.iter().map(|code| {
        let code = is(1, SeccompCmpOp::Eq, u64::from(*code as u32))?;
        SeccompRule::new(vec![code])
    });
    rules.insert(libc::SYS_ioctl, keystrokes.collect::<Result<_, _>>()?);
    #[cfg(target_arch = "x86_64")]
    {
        let again: Vec<_> = rules
            .iter()
            .map(|(call, rule)| (call | OTHER_NUMBERING, rule.clone()))
            .collect();
        rules.extend(again);
        // Calls with different numbers there, including `execve` and `ptrace`.
        rules.extend((512..=547).map(|call| (call | OTHER_NUMBERING, Vec::new())));
    }
    Ok(rules)
}
