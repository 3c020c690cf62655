//! How a server is installed, system by system.

/// Where systems say what they are (os-release(5)).
const OS_RELEASE: &str = "/etc/os-release";

/// The command that installs a server, by the names of systems (`ID` and `ID_LIKE`).
const COMMANDS: [(&[&str], &str); 5] = [
    (&["debian", "ubuntu"], "sudo apt-get install redis-server"),
    (&["fedora", "rhel", "centos"], "sudo dnf install valkey"),
    (&["arch"], "sudo pacman -S valkey"),
    (&["alpine"], "sudo apk add redis"),
    (&["suse", "opensuse"], "sudo zypper install redis"),
];

/// What installs a server on this system, in words that go on from "install one".
pub(crate) fn way() -> String {
    let command = match cfg!(target_os = "macos") {
        true => Some("brew install redis"),
        false => command(&std::fs::read_to_string(OS_RELEASE).unwrap_or_default()),
    };
    match command {
        Some(command) => format!("with `{command}`"),
        None => "from the packages of your system".to_owned(),
    }
}

fn command(os_release: &str) -> Option<&'static str> {
    let values = ["ID=", "ID_LIKE="]
        .iter()
        .filter_map(|name| os_release.lines().find_map(|line| line.strip_prefix(name)));
    let mut names = values.flat_map(|value| value.trim_matches('"').split_whitespace());
    names.find_map(|name| {
        COMMANDS.iter().find(|(systems, _)| systems.contains(&name)).map(|(_, command)| *command)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_is_that_of_the_system_or_of_one_like_it() {
        let check = |os_release: &str, expected: Option<&str>| {
            assert_eq!(command(os_release), expected, "{os_release:?}");
        };
        check("NAME=\"Debian GNU/Linux\"\nID=debian\n", Some("sudo apt-get install redis-server"));
        check("ID_LIKE=\"ubuntu debian\"\nID=linuxmint\n", Some("sudo apt-get install redis-server"));
        check("ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\n", Some("sudo dnf install valkey"));
        check("ID=\"opensuse-leap\"\nID_LIKE=\"suse opensuse\"\n", Some("sudo zypper install redis"));
        check("ID=plan9\n", None);
        check("", None);
    }
}
