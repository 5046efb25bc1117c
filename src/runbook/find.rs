//! Recognises command lines and addresses in prose. Pure.

use super::model::Link;

/// Tools whose command lines are worth copying.
const TOOLS: &[&str] = &[
    "kubectl",
    "bin/konduit.sh",
    "./bin/konduit.sh",
    "konduit.sh",
    "konduit",
    "gh",
    "az",
    "psql",
    "pg_dump",
    "pg_restore",
    "createdb",
    "make",
    "drtui",
];
/// The ones that are also recognised without backticks.
const IN_PROSE: &[&str] = &["kubectl ", "bin/konduit.sh "];
/// What may stand before a command line in prose.
const BEFORE: &[&str] = &["e.g.", ":", "$", "bash", "run", "run:", "-", "`"];

/// True for a code span that is a command line and not just a tool's name.
pub(super) fn is_command(code: &str) -> bool {
    code.split_once(' ').is_some_and(|(tool, rest)| TOOLS.contains(&tool) && !rest.trim().is_empty())
}

/// A command line that one line of prose holds, if it does.
pub(super) fn in_prose(line: &str) -> Option<&str> {
    let at = IN_PROSE.iter().filter_map(|tool| line.find(tool)).min()?;
    let before = line.get(..at)?.trim_end();
    let last = before.rsplit(char::is_whitespace).next().unwrap_or_default().to_ascii_lowercase();
    let opens = before.is_empty() || before.ends_with(':') || BEFORE.contains(&last.as_str());
    let command = line.get(at..)?.trim_end();
    // "the kubectl scale command" is prose; a command line has an option or a placeholder.
    (opens && (command.contains(" -") || command.contains('<'))).then_some(command)
}

/// The command lines of a shell code block: comments and prompts taken off, continued lines joined.
pub(super) fn in_code(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = String::new();
    for line in code.lines() {
        let line = line.trim();
        let line = line.strip_prefix("$ ").unwrap_or(line);
        if open.is_empty() && (line.is_empty() || line.starts_with('#')) {
            continue;
        }
        match line.strip_suffix('\\') {
            Some(part) => {
                open.push_str(part.trim_end());
                open.push(' ');
            }
            None => {
                open.push_str(line);
                found.push(std::mem::take(&mut open));
            }
        }
    }
    if !open.trim().is_empty() {
        found.push(open.trim_end().to_owned());
    }
    found
}

/// Addresses that stand bare in prose.
pub(super) fn urls(text: &str) -> Vec<Link> {
    text.split(|c: char| c.is_whitespace() || matches!(c, '<' | '>' | '(' | ')' | '"' | '`'))
        .filter_map(|word| {
            let at = word.find("https://").or_else(|| word.find("http://"))?;
            let url = word.get(at..)?.trim_end_matches(['.', ',', ';', ':', '!', '?', '\'', ']', '*']);
            let host = url.split_once("//").map_or("", |(_, rest)| rest);
            (!host.is_empty()).then(|| Link { text: url.to_owned(), url: url.to_owned() })
        })
        .collect()
}

/// True for an address that a person may open: the web, mail, or a place in the repository.
pub(super) fn is_openable(url: &str) -> bool {
    match url.split_once(':') {
        Some((scheme, _)) if !scheme.contains(['/', '#', '?', '.']) => {
            matches!(scheme.to_ascii_lowercase().as_str(), "http" | "https" | "mailto")
        }
        _ => !url.is_empty(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_told_from_talk_about_commands() {
        assert_eq!(in_prose("use the kubectl scale command"), None);
        assert_eq!(in_prose("kubectl -n ns get deployments"), Some("kubectl -n ns get deployments"));
        assert_eq!(in_prose("Run: bin/konduit.sh -x app -- psql"), Some("bin/konduit.sh -x app -- psql"));
        assert_eq!(in_prose("e.g. bin/konduit.sh -x app -- psql "), Some("bin/konduit.sh -x app -- psql"));
        assert!(is_command("kubectl -n a get pods") && !is_command("kubectl") && !is_command("npm install"));
    }

    #[test]
    fn continued_lines_are_one_command() {
        let code = "# look\n$ kubectl get \\\n    deployments\n\naz account show\nleft \\";
        assert_eq!(in_code(code), ["kubectl get deployments", "az account show", "left"]);
    }

    #[test]
    fn addresses_lose_the_punctuation_around_them() {
        let found: Vec<_> =
            urls("See https://a.b/c. Or (http://d), https:// no").into_iter().map(|l| l.url).collect();
        assert_eq!(found, ["https://a.b/c", "http://d"]);
        assert!(
            is_openable("https://x") && is_openable("other-page#part") && !is_openable("javascript:alert(1)")
        );
    }
}
