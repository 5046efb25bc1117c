//! The shell's language, as far as it goes: commands joined by `;`, `&&` and `||`, quotes, variables, and redirections to
//! nowhere or between the two outputs.

/// What must hold for a command to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link {
    Always,
    And,
    Or,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    Text(String),
    Variable { name: String, default: Option<String>, quoted: bool },
}

/// One word before its variables are filled in.
pub type Word = Vec<Piece>;

/// Where an output goes instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Redirect {
    /// `1>/dev/null` (1) or `2>/dev/null` (2).
    Nowhere(u8),
    ErrorsToOutput,
    OutputToErrors,
    InputFromNowhere,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    pub link: Link,
    pub words: Vec<Word>,
    pub redirects: Vec<Redirect>,
}

/// Reads a script; the error says what was not expected, as `sh` does.
pub fn parse(text: &str) -> Result<Vec<Command>, String> {
    let mut parser = Parser { rest: text.chars().collect::<Vec<_>>(), at: 0 };
    let mut commands = Vec::new();
    let mut link = Link::Always;
    loop {
        let (words, redirects) = parser.command()?;
        let empty = words.is_empty() && redirects.is_empty();
        let end = parser.separator()?;
        if !empty {
            if let Some(word) = words.first().and_then(|word| reserved(word)) {
                return Err(format!("unexpected \"{word}\" (the emulated shell has no compound commands)"));
            }
            commands.push(Command { link, words, redirects });
        } else if link != Link::Always || !matches!(end, Some(Link::Always) | None) {
            let what = if end.is_none() { "end of file" } else { "separator" };
            return Err(format!("unexpected {what}"));
        }
        match end {
            Some(next) => link = next,
            None => return Ok(commands),
        }
    }
}

fn reserved(word: &Word) -> Option<&str> {
    match word.as_slice() {
        [Piece::Text(text)] => {
            let known = ["if", "while", "for", "until", "case", "{", "(", "do", "then", "function"];
            known.into_iter().find(|known| known == text)
        }
        _ => None,
    }
}

struct Parser {
    rest: Vec<char>,
    at: usize,
}

impl Parser {
    fn peek(&self) -> Option<char> {
        self.rest.get(self.at).copied()
    }

    fn next(&mut self) -> Option<char> {
        let next = self.peek();
        self.at += usize::from(next.is_some());
        next
    }

    fn takes(&mut self, text: &str) -> bool {
        let fits = text.chars().enumerate().all(|(n, c)| self.rest.get(self.at + n) == Some(&c));
        if fits {
            self.at += text.chars().count();
        }
        fits
    }

    fn blanks(&mut self) {
        while matches!(self.peek(), Some(' ' | '\t')) {
            self.at += 1;
        }
    }

    /// The end of a command; `None` at the end of the script.
    fn separator(&mut self) -> Result<Option<Link>, String> {
        if self.takes("&&") {
            return Ok(Some(Link::And));
        }
        if self.takes("||") {
            return Ok(Some(Link::Or));
        }
        match self.next() {
            None => Ok(None),
            Some(';' | '\n') => Ok(Some(Link::Always)),
            Some(other) => Err(format!("unexpected \"{other}\" (the emulated shell has no such thing)")),
        }
    }

    fn command(&mut self) -> Result<(Vec<Word>, Vec<Redirect>), String> {
        let (mut words, mut redirects) = (Vec::new(), Vec::new());
        loop {
            self.blanks();
            match self.peek() {
                None | Some(';' | '\n' | '&' | '|' | '(' | ')') if !self.at_both() => break,
                Some('#') => {
                    while self.peek().is_some_and(|c| c != '\n') {
                        self.at += 1;
                    }
                }
                _ => match self.redirect()? {
                    Some(found) => redirects.extend(found),
                    None => words.push(self.word()?),
                },
            }
        }
        Ok((words, redirects))
    }

    /// True at `&>`, which is a redirection and no separator.
    fn at_both(&self) -> bool {
        self.peek() == Some('&') && self.rest.get(self.at + 1) == Some(&'>')
    }

    fn redirect(&mut self) -> Result<Option<Vec<Redirect>>, String> {
        if self.takes("2>&1") {
            return Ok(Some(vec![Redirect::ErrorsToOutput]));
        }
        if self.takes("1>&2") || self.takes(">&2") {
            return Ok(Some(vec![Redirect::OutputToErrors]));
        }
        let streams: &[u8] = match () {
            () if self.takes("2>>") || self.takes("2>") => &[2],
            () if self.takes("&>") => &[1, 2],
            () if self.takes("1>") || self.takes(">>") || self.takes(">") => &[1],
            () if self.takes("<") => &[0],
            () => return Ok(None),
        };
        self.blanks();
        let to = self.word()?;
        if to != vec![Piece::Text("/dev/null".into())] {
            return Err("can't create file: Read-only file system".into());
        }
        let redirects = streams.iter().map(|stream| match stream {
            0 => Redirect::InputFromNowhere,
            stream => Redirect::Nowhere(*stream),
        });
        Ok(Some(redirects.collect()))
    }

    fn word(&mut self) -> Result<Word, String> {
        let mut word = Word::new();
        while let Some(c) = self.peek() {
            match c {
                ' ' | '\t' | '\n' | ';' | '&' | '|' | '<' | '>' | '(' | ')' => break,
                '\'' => {
                    self.at += 1;
                    let mut text = String::new();
                    loop {
                        match self.next() {
                            Some('\'') => break,
                            Some(c) => text.push(c),
                            None => return Err("unterminated quoted string".into()),
                        }
                    }
                    push(&mut word, &text);
                }
                '"' => {
                    self.at += 1;
                    self.quoted(&mut word)?;
                }
                '\\' => {
                    self.at += 1;
                    if let Some(c) = self.next().filter(|c| *c != '\n') {
                        push(&mut word, &c.to_string());
                    }
                }
                '$' => self.variable(&mut word, false)?,
                '`' => return Err("unexpected \"`\" (the emulated shell has no command substitution)".into()),
                c => {
                    self.at += 1;
                    push(&mut word, &c.to_string());
                }
            }
        }
        Ok(word)
    }

    fn quoted(&mut self, word: &mut Word) -> Result<(), String> {
        push(word, "");
        loop {
            match self.peek() {
                None => return Err("unterminated quoted string".into()),
                Some('"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some('$') => self.variable(word, true)?,
                Some('\\') => {
                    self.at += 1;
                    match self.next() {
                        Some(c @ ('"' | '\\' | '$' | '`')) => push(word, &c.to_string()),
                        Some(c) => push(word, &format!("\\{c}")),
                        None => return Err("unterminated quoted string".into()),
                    }
                }
                Some(c) => {
                    self.at += 1;
                    push(word, &c.to_string());
                }
            }
        }
    }

    /// At a dollar sign.
    fn variable(&mut self, word: &mut Word, quoted: bool) -> Result<(), String> {
        self.at += 1;
        let part = |c: char| c.is_ascii_alphanumeric() || c == '_';
        match self.peek() {
            Some('(') => Err("unexpected \"(\" (the emulated shell has no command substitution)".into()),
            Some('{') => {
                self.at += 1;
                let mut inside = String::new();
                loop {
                    match self.next() {
                        Some('}') => break,
                        Some(c) => inside.push(c),
                        None => return Err("bad substitution".into()),
                    }
                }
                let (name, default) = match inside.split_once(":-") {
                    Some((name, default)) => (name.to_owned(), Some(default.to_owned())),
                    None => (inside, None),
                };
                if name.is_empty() || !name.chars().all(|c| part(c) || c == '?') {
                    return Err("bad substitution".into());
                }
                word.push(Piece::Variable { name, default, quoted });
                Ok(())
            }
            Some(c @ ('?' | '$')) => {
                self.at += 1;
                word.push(Piece::Variable { name: c.to_string(), default: None, quoted });
                Ok(())
            }
            Some(c) if part(c) => {
                let mut name = String::new();
                while let Some(c) = self.peek().filter(|c| part(*c)) {
                    name.push(c);
                    self.at += 1;
                }
                word.push(Piece::Variable { name, default: None, quoted });
                Ok(())
            }
            _ => {
                push(word, "$");
                Ok(())
            }
        }
    }
}

fn push(word: &mut Word, text: &str) {
    if let Some(Piece::Text(last)) = word.last_mut() {
        last.push_str(text);
    } else {
        word.push(Piece::Text(text.to_owned()));
    }
}
