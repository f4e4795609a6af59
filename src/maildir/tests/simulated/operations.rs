//! The operations of the disk in memory.

use super::*;

impl Disk for Simulated {
    fn open_folder(&self, at: &Handle, name: &str) -> io::Result<Handle> {
        let mut world = locked(&self.0);
        let number = match (name, at) {
            (".", Handle::Simulated(number, _)) => *number,
            _ => world.find(at, name)?,
        };
        if world.state.nodes[number].folder {
            Ok(world.open(number))
        } else {
            Err(io::ErrorKind::NotADirectory.into())
        }
    }

    fn make_folder(&self, at: &Handle, name: &str) -> io::Result<()> {
        self.change(|world| world.make(at, name, true).map(drop))
    }

    fn create(&self, at: &Handle, name: &str) -> io::Result<Handle> {
        self.change(|world| world.make(at, name, false))
    }

    fn open_file(&self, at: &Handle, name: &str) -> io::Result<Handle> {
        let mut world = locked(&self.0);
        let number = world.find(at, name)?;
        Ok(world.open(number))
    }

    fn write(&self, file: &Handle, octets: &[u8]) -> io::Result<usize> {
        self.change(|world| {
            let node = world.node(file)?;
            let begin = node.octets.len();
            node.octets.extend_from_slice(octets);
            node.pages.extend(begin / PAGE_BYTES..node.octets.len().div_ceil(PAGE_BYTES));
            node.sizes.push(node.octets.len());
            Ok(octets.len())
        })
    }

    fn read(&self, file: &Handle, octets: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut world = locked(&self.0);
        let there = &world.node(file)?.octets;
        let rest = there.get(usize::try_from(offset).unwrap_or(usize::MAX)..).unwrap_or_default();
        let count = rest.len().min(octets.len());
        octets[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }

    fn sync_file(&self, file: &Handle) -> io::Result<()> {
        let Handle::Simulated(number, _) = *file else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        self.change(|world| {
            match world.lie {
                Lie::NoSyncOfFiles => {}
                Lie::SyncsFilesLast => world.late.push(number),
                _ => world.keep_file(number),
            }
            Ok(())
        })
    }

    fn sync_folder(&self, folder: &Handle) -> io::Result<()> {
        // It takes time, and keeps what was there when it began.
        let begun = self.change(|world| Ok(world.node(folder)?.clone()))?;
        self.change(|world| {
            let (lie, node) = (world.lie, world.node(folder)?);
            // Linux asks for errors at the end: those that came while it ran are told too.
            if let Handle::Simulated(_, told) = folder
                && told.swap(node.errors, Ordering::SeqCst) != node.errors
            {
                return Err(node.error.unwrap_or(Errno::IO).into());
            }
            if lie != Lie::NoSyncOf(node.title.clone().leak()) {
                node.keep_names(&begun);
            }
            Ok(())
        })?;
        self.change(|world| {
            for number in std::mem::take(&mut world.late) {
                world.keep_file(number);
            }
            Ok(())
        })
    }

    fn sync_fs(&self, _: &Handle) -> io::Result<()> {
        // It takes time too; of what is written meanwhile it keeps nothing.
        let begun = self.change(|world| Ok(world.state.nodes.clone()))?;
        let dirty = |then: &Node| {
            !then.changes.is_empty() || !then.pages.is_empty() || !then.sizes.is_empty()
        };
        let elsewhere = locked(&self.0).state.below(ELSEWHERE);
        for (number, then) in begun.into_iter().enumerate().filter(|(_, then)| dirty(then)) {
            if elsewhere.contains(&number) {
                continue;
            }
            self.change(|world| {
                match world.lie {
                    Lie::NoSyncFs => return Ok(()),
                    Lie::SyncsFilesLast => world.late.push(number),
                    Lie::NoPlace => {
                        let node = world.node(&simulated(number))?;
                        node.hole |= !node.folder;
                        node.pages.clear();
                        node.sizes.clear();
                    }
                    _ => world.keep_octets(number, &then),
                }
                world.node(&simulated(number))?.keep_names(&then);
                Ok(())
            })?;
        }
        Ok(())
    }

    fn has_no_holes(&self, file: &Handle, octets: u64) -> io::Result<()> {
        let mut world = locked(&self.0);
        let node = world.node(file)?;
        let has = !node.hole && node.octets.len() as u64 == octets;
        if has { Ok(()) } else { Err(io::Error::other("a hole")) }
    }

    fn sync_fs_is_reliable(&self, _: &Handle) -> bool {
        locked(&self.0).sync_fs_is_reliable
    }

    fn rename(&self, from: &Handle, name: &str, to: &Handle, new: &str) -> io::Result<()> {
        self.change(|world| {
            let number = world.find(from, name)?;
            if world.node(to)?.removed {
                return Err(io::ErrorKind::NotFound.into());
            }
            if world.find(to, new).is_ok() {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            world.name(from, name, None)?;
            world.name(to, new, Some(number))
        })
    }

    fn remove(&self, at: &Handle, name: &str) -> io::Result<()> {
        self.change(|world| {
            world.find(at, name)?;
            world.name(at, name, None)
        })
    }

    fn remove_folder(&self, at: &Handle, name: &str) -> io::Result<()> {
        self.change(|world| {
            let number = world.find(at, name)?;
            if !world.state.nodes[number].names.is_empty() {
                return Err(io::ErrorKind::DirectoryNotEmpty.into());
            }
            world.name(at, name, None)
        })
    }

    fn names(&self, folder: &Handle) -> io::Result<Vec<String>> {
        Ok(locked(&self.0).node(folder)?.names.keys().cloned().collect())
    }

    fn age(&self, at: &Handle, name: &str) -> io::Result<Option<Duration>> {
        locked(&self.0).find(at, name).map(|_| Some(Duration::ZERO))
    }

    fn lock(&self, file: &Handle) -> io::Result<bool> {
        let Handle::Simulated(number, _) = *file else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        Ok(locked(&self.0).locks.insert(number))
    }

    fn left(&self, _: &Handle) -> io::Result<FreeSpace> {
        Ok(locked(&self.0).left)
    }

    fn identity(&self, folder: &Handle) -> Option<Identity> {
        // No number is used twice here, and one mailbox is on another file system.
        let Handle::Simulated(number, _) = *folder else { return None };
        let device = u64::from(locked(&self.0).state.nodes[number].title == ELSEWHERE);
        Some((device, number as u64, 0, 0))
    }

    fn number(&self, at: &Handle, path: &str) -> io::Result<Number> {
        let mut world = locked(&self.0);
        let mut folder = at.clone();
        for name in path.split('/').filter(|name| *name != ".") {
            folder = simulated(world.find(&folder, name)?);
        }
        let node = world.node(&folder)?;
        if !node.folder {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        let Handle::Simulated(number, _) = folder else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        Ok((0, number as u64))
    }
}
