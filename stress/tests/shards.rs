//! Campaigns in parts, dealt out as CI systems, job arrays and Kubernetes deal them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Runs ci/shard.sh with just these variables.
fn shard(variables: &[(&str, String)], arguments: &[&str]) -> Output {
    let mut script = Command::new(root().join("ci/shard.sh"));
    for name in ["SHARD", "CI_NODE_INDEX", "CI_NODE_TOTAL", "SLURM_ARRAY_TASK_ID", "JOB_COMPLETION_INDEX", "SEED"] {
        script.env_remove(name);
    }
    script.env("STRESS", env!("CARGO_BIN_EXE_stress")).envs(variables.iter().map(|(name, value)| (name, value)));
    script.args(arguments).output().expect("a shell")
}

/// Which rounds a history tells of, and who took part in each: what their plans say.
fn rounds(history: &Path) -> BTreeSet<(u64, String)> {
    let text = std::fs::read_to_string(history).expect("a history");
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let instance = |line: Value| Some((line["round"].as_u64()?, line["instance"].as_str()?.to_owned()));
    lines.filter_map(instance).collect()
}

/// The variables that tell a part, from 1 on, which of three it is.
type Naming = fn(u64) -> Vec<(&'static str, String)>;

#[test]
fn parts_are_dealt_out_by_each_naming_and_merge_into_the_whole() {
    let base = tempfile::tempdir().expect("a directory");
    let options = ["--rounds", "31", "--export-history"];
    let whole = base.path().join("whole");
    let history = whole.join("history.jsonl");
    std::fs::create_dir(&whole).expect("room");
    let seed = ("SEED", "3".to_owned());
    let output = shard(
        &[seed.clone(), ("SHARD", "1/1".to_owned())],
        &[&["run", whole.to_str().expect("text")], &options[..], &[history.to_str().expect("text")]].concat(),
    );
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let planned = rounds(&history);
    assert_eq!(planned.len(), 31 * 4);

    let namings: [Naming; 5] = [
        |part| vec![("SHARD", format!("{part}/3"))],
        |part| vec![("CI_NODE_INDEX", part.to_string()), ("CI_NODE_TOTAL", "3".into())],
        |part| vec![("SLURM_ARRAY_TASK_ID", (part - 1).to_string()), ("SLURM_ARRAY_TASK_COUNT", "3".into())],
        |part| {
            let first = ("SLURM_ARRAY_TASK_MIN", "5".into());
            vec![("SLURM_ARRAY_TASK_ID", (part + 4).to_string()), ("SLURM_ARRAY_TASK_COUNT", "3".into()), first]
        },
        |part| vec![("JOB_COMPLETION_INDEX", (part - 1).to_string()), ("JOB_COMPLETIONS", "3".into())],
    ];
    for (number, naming) in namings.iter().enumerate() {
        let directory = base.path().join(number.to_string());
        let reports = directory.to_str().expect("text");
        let mut ran = BTreeSet::new();
        for part in 1..=3 {
            let merged = shard(&[], &["merge", reports]);
            assert_eq!(merged.status.code(), Some(3), "not all parts are there yet");
            let history = base.path().join(format!("{number}-{part}.jsonl"));
            let variables = [std::slice::from_ref(&seed), &naming(part)[..]].concat();
            let arguments = [&["run", reports], &options[..], &[history.to_str().expect("text")]].concat();
            let output = shard(&variables, &arguments);
            assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
            let rounds = rounds(&history);
            assert!(ran.is_disjoint(&rounds), "each round is in one part");
            ran.extend(rounds);
        }
        assert_eq!(ran, planned, "naming {number}");
        let merged = shard(&[], &["merge", reports, "--export-json", "-"]);
        assert_eq!(merged.status.code(), Some(0), "{}", String::from_utf8_lossy(&merged.stderr));
        let report: Value = serde_json::from_slice(&merged.stdout).expect("JSON");
        assert_eq!((&report["rounds"], &report["verdict"]), (&Value::from(31), &Value::from("holds")));
    }
}

#[test]
fn a_part_that_is_not_told_which_it_is_says_so() {
    let check = |variables: &[(&str, &str)], arguments: &[&str], told: &str, exit: i32| {
        let variables: Vec<_> = variables.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        let output = shard(&variables, arguments);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(exit), "{stderr}");
        assert!(stderr.contains(told), "{stderr}");
    };
    check(&[], &[], "ci/shard.sh run DIR", 2);
    check(&[("SHARD", "1/2")], &["run", "/nowhere"], "SEED", 2);
    check(&[("SEED", "1")], &["run", "/nowhere"], "set SHARD=K/N", 2);
    check(&[("SEED", "1"), ("JOB_COMPLETION_INDEX", "0")], &["run", "/nowhere"], "set JOB_COMPLETIONS", 2);
    check(&[], &["merge", "/nowhere"], "run the missing parts first", 3);
}

/// The examples say what the script takes: each part is told which it is, and all are joined by it.
#[test]
fn the_examples_call_the_script_with_the_variables_of_their_platform() {
    let read = |name: &str| std::fs::read_to_string(root().join("ci/examples").join(name)).expect("an example");
    let yaml = |name: &str| serde_yaml_ng::from_str::<Value>(&read(name)).expect("YAML");

    let matrix = yaml("matrix.yml");
    let part = &matrix["jobs"]["part"];
    let shards = part["strategy"]["matrix"]["shard"].as_array().expect("a list");
    let expected: Vec<_> = (1..=shards.len()).map(|part| format!("{part}/{}", shards.len())).collect();
    assert_eq!(shards, &expected.into_iter().map(Value::from).collect::<Vec<_>>());
    assert_eq!(part["env"]["SHARD"], "${{ matrix.shard }}");
    assert_eq!(part["env"]["SEED"], "${{ inputs.seed }}");
    let steps = |job: &Value| -> String {
        let steps = job["steps"].as_array().expect("a list");
        steps.iter().filter_map(|step| step["run"].as_str()).collect::<Vec<_>>().join("\n")
    };
    assert!(steps(part).starts_with("ci/shard.sh run reports "));
    assert!(steps(&matrix["jobs"]["whole"]).starts_with("ci/shard.sh merge reports"));
    assert_eq!(matrix["jobs"]["whole"]["needs"], "part");

    let job = yaml("indexed-job.yaml");
    assert_eq!(job["spec"]["completionMode"], "Indexed", "it is what sets JOB_COMPLETION_INDEX");
    let container = &job["spec"]["template"]["spec"]["containers"][0];
    assert_eq!((&container["command"][0], &container["command"][1]), (&"ci/shard.sh".into(), &"run".into()));
    let variables = container["env"].as_array().expect("a list");
    let variable = |name: &str| variables.iter().find(|one| one["name"] == name).map(|one| one["value"].clone());
    assert_eq!(variable("JOB_COMPLETIONS"), job["spec"]["completions"].as_u64().map(|count| count.to_string().into()));
    assert!(variable("SEED").is_some());

    let array = read("array.sbatch");
    assert!(array.contains("#SBATCH --array=1-"), "it is what sets SLURM_ARRAY_TASK_ID");
    assert!(array.contains("exec ci/shard.sh run reports ") && array.contains("ci/shard.sh merge reports"));
    let checked = Command::new("bash").arg("-n").arg(root().join("ci/examples/array.sbatch")).status().expect("bash");
    assert!(checked.success());
}
