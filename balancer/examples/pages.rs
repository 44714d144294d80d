//! Writes manual pages and completions of shells, made from the definition of the command line, into a `share` folder:
//! `cargo run --package balancer --example pages -- FOLDER`. A package takes them from `cargo xtask dist`.

use std::{
    error::Error,
    fs::{self, File},
    path::Path,
};

use clap_complete::{Shell, generate};

/// Where shells look below `share`.
const COMPLETIONS: [(Shell, &str, &str); 3] = [
    (Shell::Bash, "bash-completion/completions", "balancer"),
    (Shell::Zsh, "zsh/site-functions", "_balancer"),
    (Shell::Fish, "fish/vendor_completions.d", "balancer.fish"),
];

fn main() -> Result<(), Box<dyn Error>> {
    let share = std::env::args_os().nth(1).ok_or("usage: pages FOLDER")?;
    write_all(Path::new(&share))
}

fn write_all(share: &Path) -> Result<(), Box<dyn Error>> {
    let manual = share.join("man/man1");
    fs::create_dir_all(&manual)?;
    clap_mangen::generate_to(balancer::cli::command(), &manual)?;
    for (shell, folder, file) in COMPLETIONS {
        let folder = share.join(folder);
        fs::create_dir_all(&folder)?;
        generate(shell, &mut balancer::cli::command(), "balancer", &mut File::create(folder.join(file))?);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn every_command_has_a_page_and_every_option_a_completion() {
        let folder = tempfile::tempdir().unwrap();
        write_all(folder.path()).unwrap();
        let read = |path: &str| fs::read_to_string(folder.path().join(path)).unwrap();
        let command = balancer::cli::command();
        let bash = read("bash-completion/completions/balancer");
        let others = [read("zsh/site-functions/_balancer"), read("fish/vendor_completions.d/balancer.fish")];
        assert!(read("man/man1/balancer.1").contains(".TH balancer 1"));
        for command in command.get_subcommands() {
            let name = command.get_name();
            let page = read(&format!("man/man1/balancer-{name}.1")).replace("\\-", "-");
            assert!(others.iter().chain([&bash]).all(|script| script.contains(name)), "{name}");
            for option in command.get_arguments().filter_map(|option| option.get_long()) {
                assert!(page.contains(&format!("--{option}")), "{name} --{option}");
                assert!(
                    others.iter().chain([&bash]).all(|script| script.contains(option)),
                    "{name} --{option}"
                );
            }
        }
        let script = folder.path().join("bash-completion/completions/balancer");
        assert!(Command::new("bash").arg("-n").arg(script).status().unwrap().success());
    }
}
