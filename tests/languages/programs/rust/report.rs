use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::io::Read;
use std::sync::mpsc;
use std::thread;

#[derive(Default)]
struct Team {
    count: u32,
    total: u64,
    best: (u64, String),
}

fn squares(part: u64) -> u64 {
    (part..=10_000).step_by(4).map(|i| i * i).sum()
}

fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf29ce484222325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x100000001b3)
    })
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let text = fs::read_to_string("data.csv")?;
    let mut teams: BTreeMap<&str, Team> = BTreeMap::new();
    let mut names = Vec::new();
    for line in text.lines().skip(1) {
        let fields: Vec<&str> = line.split(',').collect();
        let (name, score) = (fields[0], fields[2].parse::<u64>()?);
        let team = teams.entry(fields[1]).or_default();
        team.count += 1;
        team.total += score;
        if score > team.best.0 {
            team.best = (score, name.to_string());
        }
        if name.starts_with(|c: char| ('A'..='M').contains(&c)) {
            names.push(name);
        }
    }
    let (sender, receiver) = mpsc::channel();
    let workers: Vec<_> = (0..4)
        .map(|part| {
            let sender = sender.clone();
            thread::spawn(move || sender.send(squares(part)).unwrap())
        })
        .collect();
    drop(sender);
    let sum: u64 = receiver.iter().sum();
    for worker in workers {
        worker.join().unwrap();
    }

    let mut sorted: Vec<_> = teams.iter().collect();
    sorted.sort_by_key(|(_, team)| std::cmp::Reverse(team.total));
    let mut out = String::new();
    for (name, team) in sorted {
        writeln!(out, "{} {} {} {}", name, team.count, team.total, team.best.1)?;
    }
    let args: Vec<String> = std::env::args().skip(1).collect();
    writeln!(out, "fnv1a {:016x}", fnv1a(text.as_bytes()))?;
    writeln!(out, "squares {}", sum)?;
    writeln!(out, "names {}", names.join(","))?;
    writeln!(out, "args {}", args.join("|"))?;
    fs::write("/output/result.txt", out)?;
    let mut input = String::new();
    std::io::stdin().read_to_string(&mut input)?;
    println!("done {}", input.trim());
    Ok(())
}
