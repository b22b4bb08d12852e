//! Which file systems cannot carry an election.

use std::fmt;

/// The type of a file system, by the number that statfs(2) gives it on Linux.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileSystem(pub u32);

impl FileSystem {
    /// What a system tells that has no such numbers. It is not refused.
    pub const UNKNOWN: Self = Self(0);

    /// The name of the type, where it is one that is met often or refused; after linux/magic.h and statfs(2).
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        Some(match self.0 {
            0x0102_1994 => "tmpfs",
            0x8584_58F6 => "ramfs",
            0xEF53 => "ext2, ext3 or ext4",
            0x5846_5342 => "XFS",
            0x9123_683E => "Btrfs",
            0xCA45_1A4E => "bcachefs",
            0x2FC1_2FC1 => "ZFS",
            0xF2F5_2010 => "F2FS",
            0x794C_7630 => "overlayfs",
            0x6573_5546 => "FUSE",
            0xF15F => "eCryptfs",
            0x4D44 => "FAT",
            0x2011_BAB0 => "exFAT",
            0x7366_746E => "NTFS",
            _ => return self.refused(),
        })
    }

    /// The name of a type on which the election is known not to hold.
    ///
    /// These keep their locks on a server, or only seem to keep them. A server that loses sight of the machine gives a lock
    /// away while its holder lives and believes that it is primary (NFS, Ceph, Lustre, GPFS, `BeeGFS`, AFS, Coda); or a lock
    /// keeps others from reading and appending (SMB); or it may be ignored (9p, shared folders of virtual machines). On NFS,
    /// appends race as well: see open(2) and flock(2).
    ///
    /// FUSE is not among them. Behind it may be anything, but within one kernel, which is all that the election spans, the
    /// kernel keeps the locks that the file system does not; `stress qualify` tells of the mount at hand.
    #[must_use]
    pub fn refused(self) -> Option<&'static str> {
        Some(match self.0 {
            0x6969 => "NFS",
            0x517B | 0xFF53_4D42 | 0xFE53_4D42 => "SMB",
            0x0102_1997 => "9p",
            0x5346_414F | 0x6B41_4653 => "AFS",
            0x7375_7245 => "Coda",
            0x564C => "NCP",
            0x00C3_6400 => "Ceph",
            0x0BD0_0BD0 => "Lustre",
            0x4750_4653 => "GPFS",
            0x1983_0326 => "BeeGFS",
            0x2003_0528 => "OrangeFS",
            0x786F_4256 => "a shared folder of VirtualBox",
            _ => return None,
        })
    }
}

impl fmt::Display for FileSystem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => formatter.write_str(name),
            None if *self == Self::UNKNOWN => formatter.write_str("a file system of unknown type"),
            None => write!(formatter, "a file system of type {:#x}", self.0),
        }
    }
}
