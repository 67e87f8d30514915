//! The calls that rustix has no safe form of: the only `unsafe` code of the agent.
#![expect(unsafe_code, reason = "ioctls of block devices and ext4, and a child that starts in another root")]

use std::ffi::c_void;
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use rustix::ioctl::{self, NoArg, Opcode, Setter, opcode};

/// `BLKRRPART`, linux/fs.h.
const BLKRRPART: Opcode = opcode::none(0x12, 95);
/// `BLKPG`, linux/blkpg.h.
const BLKPG: Opcode = opcode::none(0x12, 105);
/// `EXT4_IOC_RESIZE_FS`, linux/ext4.h: the new size in blocks.
const EXT4_IOC_RESIZE_FS: Opcode = opcode::write::<u64>(b'f', 16);

/// `struct blkpg_partition`: bytes, not sectors.
#[repr(C)]
struct BlkpgPartition {
    start: i64,
    length: i64,
    number: i32,
    device_name: [u8; 64],
    volume_name: [u8; 64],
}

/// `struct blkpg_ioctl_arg`.
#[repr(C)]
struct BlkpgArgument {
    operation: i32,
    flags: i32,
    data_length: i32,
    data: *mut c_void,
}

/// What [`change_partition`] does; the numbers are `BLKPG_*_PARTITION`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PartitionChange {
    /// The kernel learns of a new partition.
    Add = 1,
    /// A partition that it knows, mounted or not, gets another length.
    Resize = 3,
}

/// A partition as `BLKPG` wants it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KernelPartition {
    /// From 1.
    pub(crate) number: u32,
    /// First byte on the disk.
    pub(crate) start_bytes: u64,
    /// Length in bytes.
    pub(crate) bytes: u64,
}

/// Tells the kernel about one partition of an open disk, leaving those in use alone.
pub(crate) fn change_partition(disk: impl AsFd, change: PartitionChange, part: KernelPartition) -> io::Result<()> {
    let out_of_range = |_| io::Error::from(io::ErrorKind::InvalidInput);
    let mut partition = BlkpgPartition {
        start: i64::try_from(part.start_bytes).map_err(out_of_range)?,
        length: i64::try_from(part.bytes).map_err(out_of_range)?,
        number: i32::try_from(part.number).map_err(out_of_range)?,
        device_name: [0; 64],
        volume_name: [0; 64],
    };
    let argument = BlkpgArgument {
        operation: change as i32,
        flags: 0,
        // 152 bytes.
        data_length: size_of::<BlkpgPartition>() as i32,
        data: (&raw mut partition).cast(),
    };
    // SAFETY: BLKPG reads one `blkpg_ioctl_arg` and the partition that it points to; both outlive the call.
    unsafe { ioctl::ioctl(disk, Setter::<BLKPG, BlkpgArgument>::new(argument)) }?;
    Ok(())
}

/// Makes the kernel read an open disk's partition table again; fails with `EBUSY` when a partition is in use.
pub(crate) fn reread_partitions(disk: impl AsFd) -> io::Result<()> {
    // SAFETY: BLKRRPART takes no argument.
    unsafe { ioctl::ioctl(disk, NoArg::<BLKRRPART>::new()) }?;
    Ok(())
}

/// Grows the mounted ext4 that holds `directory` to `blocks` file system blocks.
pub(crate) fn grow_ext4(directory: impl AsFd, blocks: u64) -> io::Result<()> {
    // SAFETY: EXT4_IOC_RESIZE_FS reads one u64.
    unsafe { ioctl::ioctl(directory, Setter::<EXT4_IOC_RESIZE_FS, u64>::new(blocks)) }?;
    Ok(())
}

/// `LOOP_CONFIGURE`, linux/loop.h (Linux 5.8).
const LOOP_CONFIGURE: Opcode = opcode::none(0x4c, 0x0a);
/// `LOOP_CTL_GET_FREE`, linux/loop.h.
const LOOP_CTL_GET_FREE: Opcode = opcode::none(0x4c, 0x82);
/// `LO_FLAGS_READ_ONLY | LO_FLAGS_AUTOCLEAR`, linux/loop.h.
const LOOP_FLAGS: u32 = 1 | 4;

/// `struct loop_info64`.
#[repr(C)]
struct LoopInfo {
    device: u64,
    inode: u64,
    rdevice: u64,
    offset: u64,
    size_limit: u64,
    number: u32,
    encrypt_type: u32,
    encrypt_key_size: u32,
    flags: u32,
    file_name: [u8; 64],
    crypt_name: [u8; 64],
    encrypt_key: [u8; 32],
    init: [u64; 2],
}

/// `struct loop_config`.
#[repr(C)]
struct LoopConfig {
    fd: u32,
    block_size: u32,
    info: LoopInfo,
    reserved: [u64; 8],
}

/// `LOOP_CTL_GET_FREE`: the answer is the call's own.
struct FreeLoop;

// SAFETY: LOOP_CTL_GET_FREE takes no argument, and its result is a number.
unsafe impl ioctl::Ioctl for FreeLoop {
    type Output = u32;

    const IS_MUTATING: bool = false;

    fn opcode(&self) -> Opcode {
        LOOP_CTL_GET_FREE
    }

    fn as_ptr(&mut self) -> *mut c_void {
        std::ptr::null_mut()
    }

    unsafe fn output_from_ptr(out: ioctl::IoctlOutput, _: *mut c_void) -> rustix::io::Result<u32> {
        u32::try_from(out).map_err(|_| rustix::io::Errno::RANGE)
    }
}

/// The number of a loop device that is free; `control` is `/dev/loop-control`.
pub(crate) fn free_loop(control: impl AsFd) -> io::Result<u32> {
    // SAFETY: see `FreeLoop`.
    Ok(unsafe { ioctl::ioctl(control, FreeLoop) }?)
}

/// Makes an open loop device show a file, read-only, until nobody has the device open.
pub(crate) fn attach_loop(device: impl AsFd, file: impl AsFd) -> io::Result<()> {
    let out_of_range = |_| io::Error::from(io::ErrorKind::InvalidInput);
    let info = LoopInfo {
        device: 0,
        inode: 0,
        rdevice: 0,
        offset: 0,
        size_limit: 0,
        number: 0,
        encrypt_type: 0,
        encrypt_key_size: 0,
        flags: LOOP_FLAGS,
        file_name: [0; 64],
        crypt_name: [0; 64],
        encrypt_key: [0; 32],
        init: [0; 2],
    };
    let fd = u32::try_from(file.as_fd().as_raw_fd()).map_err(out_of_range)?;
    let config = LoopConfig { fd, block_size: 0, info, reserved: [0; 8] };
    // SAFETY: LOOP_CONFIGURE reads one `loop_config`, which outlives the call.
    unsafe { ioctl::ioctl(device, Setter::<LOOP_CONFIGURE, LoopConfig>::new(config)) }?;
    Ok(())
}

/// Lets everybody else's reads and writes go before those of this process: `ioprio_set(2)` with the class "idle".
pub(crate) fn be_idle() -> io::Result<()> {
    const IOPRIO_WHO_PROCESS: i32 = 1;
    const IOPRIO_CLASS_IDLE: i32 = 3 << 13;
    // SAFETY: the call takes three numbers.
    let done = unsafe { libc::syscall(libc::SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, IOPRIO_CLASS_IDLE) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Makes a command start with `root` as its root directory.
pub(crate) fn start_in_root<'c>(command: &'c mut Command, root: &Path) -> &'c mut Command {
    let root = root.to_owned();
    // SAFETY: between fork and exec the closure makes two system calls; rustix converts these short paths on the
    // stack, so nothing is allocated.
    unsafe {
        command.pre_exec(move || {
            rustix::process::chroot(&root)?;
            rustix::process::chdir("/")?;
            Ok(())
        })
    }
}
