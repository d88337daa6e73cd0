//! Whether io_uring can be used. glommio ends the process with a joke when it cannot, so it is asked before: by making the two kinds
//! of ring that glommio makes, and by asking for the operations that it needs.

use super::Obstacle;
use io_uring::{IoUring, Probe, opcode};
use std::io::{self, ErrorKind};

/// What the probe found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Uring {
    /// Rings can be made, and every operation is there.
    Usable,
    /// The kernel is too old: it lacks this operation.
    Lacks(&'static str),
    /// No ring can be made.
    Refused {
        /// Why, in the kernel's words.
        error: ErrorKind,
        /// The error's number.
        errno: i32,
        /// `kernel.io_uring_disabled`, where the kernel has it (6.6 and later).
        disabled: Option<u8>,
    },
}

/// The operations that glommio 0.9 asks for, the youngest of them from Linux 5.6.
const NEEDED: [(&str, u8); 23] = [
    ("NOP", opcode::Nop::CODE),
    ("READV", opcode::Readv::CODE),
    ("WRITEV", opcode::Writev::CODE),
    ("FSYNC", opcode::Fsync::CODE),
    ("READ_FIXED", opcode::ReadFixed::CODE),
    ("WRITE_FIXED", opcode::WriteFixed::CODE),
    ("POLL_ADD", opcode::PollAdd::CODE),
    ("POLL_REMOVE", opcode::PollRemove::CODE),
    ("SENDMSG", opcode::SendMsg::CODE),
    ("RECVMSG", opcode::RecvMsg::CODE),
    ("TIMEOUT", opcode::Timeout::CODE),
    ("TIMEOUT_REMOVE", opcode::TimeoutRemove::CODE),
    ("ACCEPT", opcode::Accept::CODE),
    ("LINK_TIMEOUT", opcode::LinkTimeout::CODE),
    ("CONNECT", opcode::Connect::CODE),
    ("FALLOCATE", opcode::Fallocate::CODE),
    ("OPENAT", opcode::OpenAt::CODE),
    ("CLOSE", opcode::Close::CODE),
    ("STATX", opcode::Statx::CODE),
    ("READ", opcode::Read::CODE),
    ("WRITE", opcode::Write::CODE),
    ("SEND", opcode::Send::CODE),
    ("RECV", opcode::Recv::CODE),
];

impl Uring {
    /// Makes rings and throws them away.
    pub(super) fn probe() -> Uring {
        match probe() {
            Ok(uring) => uring,
            Err(error) => Uring::Refused {
                error: error.kind(),
                errno: error.raw_os_error().unwrap_or_default(),
                disabled: super::number(DISABLED).and_then(|value| u8::try_from(value).ok()),
            },
        }
    }

    /// # Errors
    /// What forbids io_uring, and what to change.
    pub(super) fn usable(&self) -> Result<(), Obstacle> {
        match self {
            Uring::Usable => Ok(()),
            Uring::Lacks(operation) => Err(Obstacle(format!(
                "the kernel is too old: its io_uring lacks {operation}; Linux 5.8 or later is needed"
            ))),
            Uring::Refused { error, errno, disabled } => Err(Obstacle(refused(*error, *errno, *disabled))),
        }
    }
}

const DISABLED: &str = "/proc/sys/kernel/io_uring_disabled";

/// The switch in the kernel is looked at first: while it is set, no container option helps.
fn refused(error: ErrorKind, errno: i32, disabled: Option<u8>) -> String {
    let error_text = io::Error::from_raw_os_error(errno);
    match (error, disabled) {
        (ErrorKind::PermissionDenied, Some(2)) => {
            "io_uring is switched off on this host (kernel.io_uring_disabled is 2); allow it: \
             sysctl -w kernel.io_uring_disabled=0"
                .to_owned()
        }
        (ErrorKind::PermissionDenied, Some(1)) => {
            "io_uring is switched off for this user (kernel.io_uring_disabled is 1); allow it: \
             sysctl -w kernel.io_uring_disabled=0, or put the user into the group of kernel.io_uring_group"
                .to_owned()
        }
        // EPERM is what Docker's profile answers, ENOSYS what other runtimes do and a kernel without io_uring.
        (ErrorKind::PermissionDenied | ErrorKind::Unsupported, _) => format!(
            "io_uring is forbidden ({error_text}), as Docker's default seccomp profile does; allow it: \
             --security-opt seccomp=unconfined, or a profile that allows io_uring_setup, io_uring_enter and io_uring_register"
        ),
        (ErrorKind::OutOfMemory, _) => format!(
            "io_uring cannot be used ({error_text}): too little memory may be locked; raise it: ulimit -l unlimited, \
             or LimitMEMLOCK=infinity in the systemd unit"
        ),
        _ => format!("io_uring cannot be used: {error_text}"),
    }
}

fn probe() -> io::Result<Uring> {
    let ring = IoUring::new(2)?;
    let mut probe = Probe::new();
    ring.submitter().register_probe(&mut probe)?;
    if let Some((name, _)) = NEEDED.iter().find(|(_, code)| !probe.is_supported(*code)) {
        return Ok(Uring::Lacks(name));
    }
    // glommio makes a ring for polled disks too, though nothing here reads a disk.
    let _polled: IoUring = IoUring::builder().setup_iopoll().build(2)?;
    Ok(Uring::Usable)
}

#[cfg(test)]
mod tests {
    use super::*;

    const EPERM: i32 = 1;
    const ENOMEM: i32 = 12;
    const EMFILE: i32 = 24;
    const ENOSYS: i32 = 38;

    fn line(errno: i32, disabled: Option<u8>) -> String {
        let error = io::Error::from_raw_os_error(errno).kind();
        Uring::Refused { error, errno, disabled }.usable().expect_err("it was refused").to_string()
    }

    #[test]
    fn seccomp_is_named_when_the_kernel_has_nothing_against_it() {
        for (errno, disabled) in [(EPERM, Some(0)), (EPERM, None), (ENOSYS, Some(0)), (ENOSYS, None)] {
            let line = line(errno, disabled);
            assert!(line.contains("--security-opt seccomp=unconfined") && line.contains("io_uring_setup"), "{line}");
        }
    }

    #[test]
    fn the_sysctl_is_named_when_it_is_what_forbids() {
        for value in [1, 2] {
            let line = line(EPERM, Some(value));
            assert!(line.contains("sysctl -w kernel.io_uring_disabled=0") && !line.contains("seccomp"), "{line}");
        }
    }

    #[test]
    fn other_refusals_keep_the_kernels_words() {
        assert!(line(ENOMEM, Some(0)).contains("ulimit -l"));
        assert!(line(EMFILE, Some(0)).contains("Too many open files"));
    }

    #[test]
    fn every_refusal_is_one_line() {
        for errno in [EPERM, ENOMEM, EMFILE, ENOSYS] {
            for disabled in [None, Some(0), Some(1), Some(2)] {
                assert!(!line(errno, disabled).contains('\n'));
            }
        }
        assert!(!Uring::Lacks("STATX").usable().expect_err("too old").to_string().contains('\n'));
    }
}
