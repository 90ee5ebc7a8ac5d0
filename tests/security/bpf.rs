//! An interpreter of the classic BPF that seccomp filters are made of, written
//! from the kernel's description (Documentation/networking/filter.rst), so that
//! a filter can be asked without being loaded.

use libc::sock_filter;

/// struct seccomp_data without the instruction pointer.
#[derive(Debug, Clone, Copy)]
pub struct Call {
    pub number: u32,
    pub arch: u32,
    pub args: [u64; 6],
}

/// The SECCOMP_RET_… value; an error where the kernel would refuse to load.
pub fn run(program: &[sock_filter], call: &Call) -> Result<u32, String> {
    let mut accumulator = 0u32;
    let mut at = 0usize;
    loop {
        let i = program.get(at).ok_or(format!("left the program at {at}"))?;
        at += 1;
        let branch = |taken: bool| usize::from(if taken { i.jt } else { i.jf });
        match u32::from(i.code) {
            0x20 => accumulator = call.word(i.k)?,
            0x54 => accumulator &= i.k,
            0x05 => at += i.k as usize,
            0x15 => at += branch(accumulator == i.k),
            0x25 => at += branch(accumulator > i.k),
            0x35 => at += branch(accumulator >= i.k),
            0x45 => at += branch(accumulator & i.k != 0),
            0x06 => return Ok(i.k),
            code => return Err(format!("instruction {code:#x} at {}", at - 1)),
        }
    }
}

impl Call {
    fn word(&self, offset: u32) -> Result<u32, String> {
        match offset {
            0 => Ok(self.number),
            4 => Ok(self.arch),
            16..64 if offset.is_multiple_of(4) => {
                let arg = self.args[(offset as usize - 16) / 8];
                Ok(if offset.is_multiple_of(8) {
                    arg as u32
                } else {
                    (arg >> 32) as u32
                })
            }
            _ => Err(format!("load of offset {offset}")),
        }
    }
}
