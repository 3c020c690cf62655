//! [`Title`]: what `ps` shows of a process.

use std::fmt;
use std::io::Write;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, Ordering};

use crate::SingleThreaded;
use crate::listing::name_and_fields;

/// The longest title: what `ps` shows of one on a very wide screen, and more.
pub const TITLE_BYTES_MAX: usize = 2048;

/// The title of this process and of those it forks: what `ps` shows in the place of the command line.
///
/// It lies in memory of its own, of which the system is told (`PR_SET_MM_MAP`, prctl(2)). So it may be longer than the
/// command line was, the program can still read what it was called with, and others its environment. Where the system
/// does not have that (a kernel without `CONFIG_CHECKPOINT_RESTORE`, a sandbox), what can be had is the room of the
/// command line, at its cost.
#[derive(Clone, Copy, Debug)]
pub struct Title {
    /// Where everything lay when the process began.
    map: MemoryMap,
    text: &'static [AtomicU8],
}

impl Title {
    /// The title of this process; `None` where the system does not say where its parts lie.
    pub fn of_this_process() -> Option<Title> {
        static TITLE: OnceLock<Option<Title>> = OnceLock::new();
        // Once: from the first `set` on the system says that the command line lies where the title does.
        *TITLE.get_or_init(|| {
            let map = MemoryMap::of_this_process()?;
            // On the heap: the system shows what lies in anonymous memory alone, and not in that of a program's file.
            let text = (0..TITLE_BYTES_MAX).map(|_| AtomicU8::new(0)).collect::<Vec<_>>();
            Some(Title { map, text: text.leak() })
        })
    }

    /// Shows `text`, as far as there is room. Terminals show it as it is: what comes from others has to be made safe before.
    ///
    /// Where the system has no room for it but that of the command line, nobody can read any more what the program was
    /// called with, nor can the program itself.
    pub fn set(self, single_threaded: &SingleThreaded, text: impl fmt::Display) {
        if !self.set_apart(single_threaded, &text) {
            self.map.overwrite_arguments(single_threaded, text);
        }
    }

    /// [`set`](Title::set), where the program can still read then what it was called with. `false` where it could not:
    /// nothing has changed.
    pub fn set_apart(self, single_threaded: &SingleThreaded, text: impl fmt::Display) -> bool {
        let mut bytes = [0; TITLE_BYTES_MAX];
        // The last byte stays zero: without, the system takes what follows for more of the title.
        let mut room = &mut bytes[..TITLE_BYTES_MAX - 1];
        // What is too long is cut off.
        let _ = write!(room, "{text}");
        let length = TITLE_BYTES_MAX - 1 - room.len();
        for (place, byte) in self.text.iter().zip(&bytes[..=length]) {
            place.store(*byte, Ordering::Relaxed);
        }
        let start = self.text.as_ptr().expose_provenance() as u64;
        let map = MemoryMap { arg_start: start, arg_end: start + length as u64 + 1, ..self.map };
        map.tell(single_threaded)
    }
}

/// Where the parts of a process lie in its memory, as the system knows it: `struct prctl_mm_map` of `linux/prctl.h`.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
struct MemoryMap {
    start_code: u64,
    end_code: u64,
    start_data: u64,
    end_data: u64,
    start_brk: u64,
    brk: u64,
    start_stack: u64,
    arg_start: u64,
    arg_end: u64,
    env_start: u64,
    env_end: u64,
    /// The address of another auxiliary vector, and its length: none.
    auxv: u64,
    auxv_bytes: u32,
    /// A descriptor of another file that the process executes.
    exe: u32,
}

impl MemoryMap {
    /// What the system is told in the place of a descriptor, to leave the file as it is.
    const SAME_EXE: u32 = u32::MAX;

    /// As the system says (proc_pid_stat(5)).
    fn of_this_process() -> Option<MemoryMap> {
        let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
        let (_, fields) = name_and_fields(&stat)?;
        let fields: Vec<&str> = fields.trim_end().split(' ').collect();
        // Fields are counted from 1; the third is the first behind the name.
        let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
        let map = MemoryMap {
            start_code: field(26)?,
            end_code: field(27)?,
            start_stack: field(28)?,
            start_data: field(45)?,
            end_data: field(46)?,
            start_brk: field(47)?,
            arg_start: field(48)?,
            arg_end: field(49)?,
            env_start: field(50)?,
            env_end: field(51)?,
            exe: MemoryMap::SAME_EXE,
            ..MemoryMap::default()
        };
        // Zeros are what a process gets that may not know.
        (map.arg_start != 0 && map.arg_start < map.arg_end).then_some(map)
    }

    /// Has the system show the memory that this says, in the place of the command line. `false` where it does not.
    fn tell(mut self, _: &SingleThreaded) -> bool {
        // SAFETY: it asks where the heap ends, and moves nothing.
        let brk = unsafe { libc::sbrk(0) };
        self.brk = brk.expose_provenance() as u64;
        let own: *const MemoryMap = &self;
        // SAFETY: the record is of the type and the length that the system reads, and lives through the call, which writes
        // nothing into this process's memory. The system checks the addresses, uses them to show them and what lies there
        // to others, and none but `brk` to decide where anything is: that is as it was told a moment ago, and no other
        // thread can have moved it since.
        let result =
            unsafe { libc::prctl(libc::PR_SET_MM, libc::PR_SET_MM_MAP, own, size_of::<MemoryMap>(), 0) };
        result == 0
    }

    /// Writes over what the program was called with.
    fn overwrite_arguments(self, _: &SingleThreaded, text: impl fmt::Display) {
        let (Ok(start), Ok(length)) =
            (usize::try_from(self.arg_start), usize::try_from(self.arg_end - self.arg_start))
        else {
            return;
        };
        // SAFETY: the system has put the strings of the command line there, into memory that may be written to and
        // stays for the life of the process, and that no object of Rust's lies in; with one thread nobody reads it
        // meanwhile. That a program reads these strings again and finds others is harmless: they end within it, as the
        // last byte stays zero.
        let bytes = unsafe {
            std::slice::from_raw_parts_mut(std::ptr::with_exposed_provenance_mut::<u8>(start), length)
        };
        bytes.fill(0);
        let mut room = &mut bytes[..length - 1];
        // What is too long is cut off.
        let _ = write!(room, "{text}");
    }
}
