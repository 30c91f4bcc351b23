//! Commands that take a secret by an option without a name, as `mysql -pSECRET` does, or after a setting's name.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::marks::Quote;
use super::word::Word;
use super::{Cut, count, work};

/// How a command takes a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Takes {
    /// `-px` or `-p x`.
    Either,
    /// `-p x` only.
    Next,
    /// `-px` only: `-p` alone asks for it.
    Attached,
    /// The rest of the next word behind this mark: `-u user:x`.
    Behind(u8),
}

use Takes::{Attached, Behind, Either, Next};

/// A command and its options that take secrets.
#[derive(Debug)]
struct Command {
    names: &'static [&'static str],
    /// The commands that it is a part of.
    of: &'static [&'static str],
    options: &'static [(&'static str, Takes)],
    /// How its first operand is a secret.
    operand: Option<Takes>,
    /// Whether a setting's name and its value are its operands.
    is_setting: bool,
}

const PLAIN: Command = Command {
    names: &[],
    of: &[],
    options: &[],
    operand: None,
    is_setting: false,
};

const fn command(names: &'static [&'static str], options: &'static [(&'static str, Takes)]) -> Command {
    Command {
        names,
        options,
        ..PLAIN
    }
}

/// The commands, by their manuals.
static COMMANDS: [Command; 24] = [
    command(
        &[
            "mysql",
            "mysqldump",
            "mysqladmin",
            "mysqlimport",
            "mysqlshow",
            "mysqlcheck",
            "mysqlbinlog",
            "mysqlsh",
            "mariadb",
            "mariadb-dump",
            "mariadb-admin",
            "xtrabackup",
            "7z",
            "7za",
        ],
        &[("-p", Attached)],
    ),
    command(
        &["curl"],
        &[
            ("-u", Behind(b':')),
            ("-U", Behind(b':')),
            ("--user", Behind(b':')),
            ("--proxy-user", Behind(b':')),
            ("-b", Either),
        ],
    ),
    command(&["sshpass"], &[("-p", Either)]),
    // What these run has options of its own.
    command(&["ssh", "scp", "rsync", "sftp", "psql", "docker", "podman"], &[]),
    Command {
        of: &[
            "docker", "podman", "nerdctl", "buildah", "skopeo", "registry", "oras", "crane", "oc", "az",
            "acr", "argocd",
        ],
        ..command(&["login"], &[("-p", Either)])
    },
    Command {
        of: &["vault"],
        operand: Some(Next),
        ..command(&["login"], &[])
    },
    command(&["redis-cli", "valkey-cli", "keydb-cli"], &[("-a", Either)]),
    command(
        &[
            "sqlcmd",
            "bcp",
            "osql",
            "zip",
            "unzip",
            "zipcloak",
            "mosquitto_pub",
            "mosquitto_sub",
        ],
        &[("-P", Either)],
    ),
    command(&["openssl"], &[("-k", Next), ("-K", Next)]),
    command(
        &[
            "ldapsearch",
            "ldapadd",
            "ldapmodify",
            "ldapdelete",
            "ldapwhoami",
            "ldappasswd",
            "vsql",
        ],
        &[("-w", Either)],
    ),
    command(
        &[
            "mongo",
            "mongosh",
            "mongodump",
            "mongorestore",
            "mongoexport",
            "mongoimport",
            "mongostat",
            "cqlsh",
            "beeline",
            "twine",
            "cypher-shell",
            "neo4j-admin",
            "pulsar-admin",
        ],
        &[("-p", Either)],
    ),
    command(&["influx"], &[("-t", Next)]),
    command(&["http", "https", "xh", "xhs"], &[("-a", Behind(b':'))]),
    command(&["ab"], &[("-A", Behind(b':')), ("-P", Behind(b':'))]),
    command(&["smbclient", "smbget", "rpcclient"], &[("-U", Behind(b'%'))]),
    command(&["lftp"], &[("-u", Behind(b','))]),
    command(
        &["snmpwalk", "snmpget", "snmpset"],
        &[("-c", Next), ("-A", Next), ("-X", Next)],
    ),
    command(&["kubectl"], &[("--from-literal", Behind(b'='))]),
    command(&["databricks"], &[("--string-value", Next)]),
    command(&["keyvault", "put-parameter"], &[("--value", Next)]),
    Command {
        of: &["gh"],
        ..command(&["secret"], &[("--body", Next), ("-b", Next)])
    },
    Command {
        operand: Some(Behind(b'/')),
        ..command(&["sqlplus", "expdp", "impdp", "sqlldr", "rman"], &[])
    },
    Command {
        operand: Some(Next),
        ..command(&["requirepass", "masterauth"], &[])
    },
    Command {
        of: &[
            "aws", "npm", "yarn", "pnpm", "git", "poetry", "pip", "rclone", "dvc", "gcloud", "az", "snow",
        ],
        is_setting: true,
        ..command(&["config", "configure", "modify"], &[])
    },
];

/// Commands that are only told to know what follows them.
const OUTER: [&str; 23] = [
    "nerdctl", "buildah", "skopeo", "registry", "oras", "crane", "oc", "az", "acr", "argocd", "vault", "gh",
    "aws", "npm", "git", "poetry", "pip", "rclone", "dvc", "yarn", "pnpm", "gcloud", "snow",
];

/// The commands by their names.
static BY_NAME: LazyLock<HashMap<&[u8], Vec<&Command>>> = LazyLock::new(|| {
    let mut by_name: HashMap<&[u8], Vec<&Command>> =
        OUTER.iter().map(|name| (name.as_bytes(), Vec::new())).collect();
    for command in &COMMANDS {
        for name in command.names {
            by_name.entry(name.as_bytes()).or_default().push(command);
        }
    }
    by_name
});

/// Longest name of a command.
const LONGEST: usize = 15;

/// For the first two letters of commands' names a bit for each length that they have: most words differ at once.
#[expect(clippy::indexing_slicing, reason = "the compiler evaluates it")]
static LENGTHS: [[u16; 32]; 256] = {
    const fn note(lengths: &mut [[u16; 32]; 256], name: &str) {
        let name = name.as_bytes();
        lengths[name[0] as usize][name[1] as usize % 32] |= 1 << name.len();
    }
    let mut lengths = [[0; 32]; 256];
    let mut number = 0;
    while number < COMMANDS.len() {
        let mut name = 0;
        while name < COMMANDS[number].names.len() {
            note(&mut lengths, COMMANDS[number].names[name]);
            name += 1;
        }
        number += 1;
    }
    number = 0;
    while number < OUTER.len() {
        note(&mut lengths, OUTER[number]);
        number += 1;
    }
    // Of `.netrc`.
    note(&mut lengths, "machine");
    note(&mut lengths, "default");
    lengths
};

/// Whether a word, and what follows it, may be a command's name: a cheap look.
#[inline]
pub(super) fn may_be(bytes: &[u8], word: Word, next: u8) -> bool {
    let length = word.end - word.start;
    if !matches!(next, b' ' | b'\t' | b'\'' | b'"' | b'\\' | b'\n') || length > LONGEST {
        return false;
    }
    let Some([first, second, ..]) = bytes.get(word.start..word.end) else {
        return false;
    };
    let lengths = LENGTHS
        .get(usize::from(*first))
        .and_then(|seconds| seconds.get(usize::from(*second % 32)));
    lengths.is_some_and(|lengths| lengths >> length & 1 == 1)
        && bytes
            .get(word.start..word.end)
            .is_some_and(|word| !word.contains(&b'.'))
}

/// The command that a line has called so far.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Called {
    command: Option<&'static Command>,
    name: &'static [u8],
    /// As far as it is known to go on.
    to: usize,
    had_operand: bool,
}

impl Called {
    /// Takes note of a word that may name a command.
    pub(super) fn name(&mut self, bytes: &[u8], start: usize, end: usize) {
        let Some(word) = bytes.get(start..end) else {
            return;
        };
        let Some((name, commands)) = BY_NAME.get_key_value(word) else {
            return;
        };
        let goes_on = self.is_active() && self.goes_on(bytes, start);
        let is_called = |command: &&&Command| {
            command.of.is_empty() || goes_on && command.of.iter().any(|of| of.as_bytes() == self.name)
        };
        let command = commands.iter().find(is_called).copied();
        if command.is_some() || OUTER.iter().any(|outer| outer.as_bytes() == word) {
            *self = Self {
                command,
                name,
                to: end,
                had_operand: false,
            };
        }
    }

    /// Whether it goes on up to a place: with no end of a line or of a command between.
    pub(super) fn goes_on(&mut self, bytes: &[u8], at: usize) -> bool {
        let between = bytes.get(self.to..at).unwrap_or_default();
        work(between.len());
        let mut before = b' ';
        for byte in between {
            if matches!(byte, b'|' | b';') || matches!(byte, b'\n' | b'\r') && before != b'\\' {
                *self = Self::default();
                return false;
            }
            before = *byte;
        }
        self.to = self.to.max(at);
        true
    }

    /// Whether a command was called: what a mask changes may be its end.
    pub(super) fn is_active(&self) -> bool {
        !self.name.is_empty()
    }

    /// Passes over what is masked: it may hold anything.
    pub(super) fn pass_over(&mut self, bytes: &[u8], masked: Cut) {
        if self.is_active() && self.goes_on(bytes, masked.from) {
            self.to = self.to.max(masked.to);
        }
    }

    /// Whether names of settings and their values follow.
    pub(super) fn is_of_settings(&self) -> bool {
        self.command.is_some_and(|command| command.is_setting)
    }

    /// Whether a word may be an option, an operand or a setting's name.
    pub(super) fn may_take(&self, bytes: &[u8], start: usize, next: u8) -> bool {
        self.command.is_some_and(|command| {
            command.is_setting && matches!(next, b' ' | b'\'' | b'"')
                || bytes.get(start) == Some(&b'-') && !command.options.is_empty()
                || command.operand.is_some() && !self.had_operand
        })
    }

    /// The secret that an option or an operand at `start..end` is or brings.
    pub(super) fn secret(&mut self, bytes: &[u8], start: usize, end: usize) -> Option<Cut> {
        let command = self.command?;
        if start < self.to || !self.goes_on(bytes, start) {
            return None;
        }
        let word = bytes.get(start..end)?;
        if !word.starts_with(b"-") {
            // `vault login -method=oidc`: an option's value is no operand.
            if self.had_operand || bytes.get(start - 1) == Some(&b'=') {
                return None;
            }
            self.had_operand = true;
            let takes = command.operand?;
            return cut(takes, bytes, start);
        }
        command.options.iter().find_map(|(option, takes)| {
            let rest = word.strip_prefix(option.as_bytes())?;
            match (takes, rest.is_empty()) {
                (Attached, _) => cut(Next, bytes, start + option.len()),
                (Either | Behind(_), false) if option.len() == 2 => cut(*takes, bytes, start + option.len()),
                (_, true) => cut(*takes, bytes, after(bytes, end)?),
                _ => None,
            }
        })
    }
}

/// The value that stands after a setting's name in a command.
pub(super) fn value_of_setting(bytes: &[u8], end: usize) -> Option<Cut> {
    let closed = end + Quote::at(bytes, end).map_or(0, Quote::len);
    if !matches!(bytes.get(closed), Some(b' ' | b'\t' | b',')) {
        return None;
    }
    cut(Next, bytes, after(bytes, end)?)
}

/// Where the argument after the one that ends here starts, in a line or in a list of texts.
fn after(bytes: &[u8], end: usize) -> Option<usize> {
    let at = end + Quote::at(bytes, end).map_or(0, Quote::len);
    if at > end && !matches!(bytes.get(at), Some(b',' | b' ')) {
        // It opens: `-p'x'`.
        return Some(end);
    }
    let between = count(bytes, at, |byte| matches!(byte, b' ' | b'\t' | b',' | b'='));
    (between > 0).then_some(at + between)
}

fn cut(takes: Takes, bytes: &[u8], at: usize) -> Option<Cut> {
    let (from, to) = match Quote::at(bytes, at) {
        Some(quote) => (at + quote.len(), quote.close(bytes, at + quote.len())),
        None => {
            let length = count(bytes, at, |byte| {
                !matches!(
                    byte,
                    b' ' | b'\t' | b'\r' | b'\n' | b'"' | b'\'' | b'`' | b'\\' | b'|' | b';'
                )
            });
            (at, at + length)
        }
    };
    let value = bytes.get(from..to)?;
    let from = match takes {
        Behind(mark) => from + value.iter().position(|byte| *byte == mark)? + 1,
        _ => from,
    };
    let value = bytes.get(from..to)?;
    if super::innocent::is_of_sentence(value) {
        return None;
    }
    let is_other = matches!(
        value.first(),
        None | Some(b'-' | b'$' | b'{' | b'<' | b':' | b'=')
    );
    (!is_other).then_some(Cut { from, to })
}
