//! The shell lines of action.yml, run as a workflow runs them. The lines that build the program
//! find it built.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Output};

const ACTION: &str = include_str!("../../action.yml");

/// The lines of the step of this name, without their indentation.
fn step(name: &str) -> String {
    let step = ACTION.split("\n    - ").find(|step| step.starts_with(&format!("name: {name}\n")));
    let lines = step.unwrap().split_once("\n      run: |\n").unwrap().1;
    lines.lines().flat_map(|line| [line.trim_start_matches("        "), "\n"]).collect()
}

struct Runner {
    folder: tempfile::TempDir,
}

impl Runner {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let bin = folder.path().join("postman/bin");
        fs::create_dir_all(&bin).unwrap();
        symlink(env!("CARGO_BIN_EXE_postman"), bin.join("postman")).unwrap();
        Self { folder }
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.folder.path().join(name)).unwrap_or_default()
    }

    /// As `shell: bash` does.
    fn run(&self, name: &str, inputs: &[(&str, &str)]) -> Output {
        let here = self.folder.path();
        let path = format!("{}/postman/bin:{}", here.display(), std::env::var("PATH").unwrap());
        fs::write(here.join("step"), step(name)).unwrap();
        Command::new("bash")
            .args(["--noprofile", "--norc", "-eo", "pipefail", "step"])
            .current_dir(here)
            .env("PATH", path)
            .env("RUNNER_TEMP", here)
            .env("GITHUB_ACTION_PATH", env!("CARGO_MANIFEST_DIR"))
            .env("GITHUB_PATH", here.join("path"))
            .env("GITHUB_STEP_SUMMARY", here.join("summary"))
            .envs(inputs.iter().copied())
            .output()
            .unwrap()
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr].concat()).into_owned()
}

#[test]
fn the_action_builds_once_and_puts_the_program_on_the_path() {
    let runner = Runner::new();
    let output = runner.run("Build Postman", &[]);
    assert!(output.status.success() && said(&output).is_empty(), "{}", said(&output));
    assert_eq!(runner.text("path"), format!("{}/postman/bin\n", runner.folder.path().display()));
    // What it does where the program is not there yet.
    assert!(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.lock").exists());
    assert!(ACTION.contains("cargo install --locked --quiet --path \"$GITHUB_ACTION_PATH\""));
}

#[test]
fn the_action_runs_a_command_of_several_lines_and_fails_with_it() {
    let runner = Runner::new();
    let run = "echo \"$SMTP_URL\"\nfalse | cat\necho not reached";
    let options = "--transcripts dialogues --port 0";
    let output = runner.run("Run the command", &[("RUN", run), ("OPTIONS", options)]);
    let said = said(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.starts_with("smtp://127.0.0.1:") && !said.contains("not reached"), "{said}");
    assert!(runner.folder.path().join("dialogues").is_dir());
    let output = runner.run("Run the command", &[("RUN", "true"), ("OPTIONS", "")]);
    assert!(output.status.success(), "{output:?}");
    // The first command's folder was kept.
    let kept = said.rsplit_once(" are in ").unwrap().1.trim_end();
    fs::remove_dir_all(kept).unwrap();
}

#[test]
fn the_action_checks_a_definition_and_shows_what_a_pull_request_changes() {
    let runner = Runner::new();
    let here = runner.folder.path();
    let git = |arguments: &[&str]| {
        let output = Command::new("git")
            .args(["-c", "user.name=x", "-c", "user.email=x@x.org"])
            .args(["-c", "init.defaultBranch=main", "-c", "commit.gpgsign=false"])
            .args(arguments)
            .current_dir(here)
            .output();
        output.is_ok_and(|output| output.status.success())
    };
    let definition = here.join("x.def");
    fs::write(&definition, crate::peer::PAGE).unwrap();
    if !(git(&["init"]) && git(&["add", "x.def"]) && git(&["commit", "-m", "x"])) {
        return crate::rig::skip("there is no git");
    }
    assert!(git(&["remote", "add", "origin", here.to_str().unwrap()]));
    let changed = crate::peer::PAGE.replacen("reply = '502", "reply = '550", 1);
    assert_ne!(changed, crate::peer::PAGE);
    fs::write(&definition, changed).unwrap();
    let inputs = [("STATES", "x.def"), ("BASE", "main")];
    let output = runner.run("Check the definition", &inputs);
    assert!(output.status.success(), "{}", said(&output));
    let summary = runner.text("summary");
    assert!(summary.contains("is refused otherwise") && summary.ends_with("```\n"), "{summary}");
    fs::write(&definition, "AutoGen Definitions fsm;\n").unwrap();
    assert!(!runner.run("Check the definition", &inputs).status.success());
}
