//! As whom the server runs. PostgreSQL refuses root, so root lends it the account of a lesser user.

use std::{
    io,
    os::unix::fs::{MetadataExt, chown},
    path::Path,
};

/// A user's and a group's number.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Account {
    pub(super) uid: u32,
    pub(super) gid: u32,
}

impl Account {
    /// The account to run the server as, or `None`: as we are. `probe` is a file that this process has just made: its
    /// owner is who we are, which the standard library does not tell otherwise.
    pub(super) fn for_server(probe: &Path) -> io::Result<Option<Self>> {
        if std::fs::metadata(probe)?.uid() != 0 {
            return Ok(None);
        }
        let users = std::fs::read_to_string("/etc/passwd")?;
        ["postgres", "nobody"].into_iter().find_map(|name| in_passwd(&users, name)).map(Some).ok_or_else(
            || {
                let message = "PostgreSQL refuses to run as root, and there is no user postgres or nobody to run it as";
                io::Error::new(io::ErrorKind::NotFound, message)
            },
        )
    }

    /// Gives this file or folder to the account.
    pub(super) fn own(self, path: &Path) -> io::Result<()> {
        chown(path, Some(self.uid), Some(self.gid))
    }
}

/// The user's line in the text of /etc/passwd: `name:password:uid:gid:…`.
fn in_passwd(users: &str, name: &str) -> Option<Account> {
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        if fields.next()? != name {
            return None;
        }
        let uid = fields.nth(1)?.parse().ok()?;
        let gid = fields.next()?.parse().ok()?;
        (uid != 0).then_some(Account { uid, gid })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_found_by_the_whole_name() {
        let users = "root:x:0:0:root:/root:/bin/sh\npostgresql:x:9:9::/:/bin/sh\n\
            postgres:x:101:104:P,,,:/var:/bin/bash\n";
        assert_eq!(in_passwd(users, "postgres"), Some(Account { uid: 101, gid: 104 }));
        assert_eq!(in_passwd(users, "nobody"), None);
        assert_eq!(in_passwd(users, "root"), None, "root is no lesser user");
        assert_eq!(in_passwd("postgres:x\n:::\n", "postgres"), None);
    }
}
