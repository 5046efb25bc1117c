//! Opening a tunnel: to which server, through what, into which database, on which local port.

use crossterm::event::{KeyCode, KeyEvent};
use tui_input::Input;

use super::{Overlay, edit, open};
use crate::core::effect::Effect;
use crate::core::model::Model;
use crate::core::tunnel;
use crate::domain::{Backend, ServerClass, TunnelRequest};

/// The form. Fields: 0 server, 1 way, 2 database, 3 local port.
#[derive(Debug, Clone, Default)]
pub struct Tunnelling {
    /// Name of the chosen server.
    pub server: String,
    /// Through a pod of its own.
    pub own_pod: bool,
    pub database: Input,
    pub port: Input,
    pub field: usize,
    /// Letters typed on the server, which jump to what begins so.
    pub typed: String,
    pub problem: Option<String>,
}

const FIELDS: usize = 4;

impl Tunnelling {
    /// The form for a server. Where no pod of the service runs, only one of its own leads there.
    pub fn new(model: &Model, server: String) -> Tunnelling {
        Tunnelling { server, own_pod: tunnel::way(model).1 == Some(false), ..Tunnelling::default() }
    }

    /// The text field with the focus.
    pub fn field_mut(&mut self) -> Option<&mut Input> {
        match self.field {
            2 => Some(&mut self.database),
            3 => Some(&mut self.port),
            _ => None,
        }
    }

    /// What the chosen server is to the service.
    pub fn which(&self, model: &Model) -> ServerClass {
        let all = tunnel::servers(model);
        all.iter().find(|(name, _)| *name == self.server).map_or(ServerClass::Ptr, |(_, class)| *class)
    }

    /// What the form asks for.
    ///
    /// # Errors
    /// What is wrong with a field, in words.
    pub fn request(&self, model: &Model) -> Result<TunnelRequest, String> {
        if self.server.is_empty() {
            return Err("No server is known yet: 3 shows what Azure lists.".into());
        }
        let port = self.port.value().trim();
        let local_port = match port.parse::<u16>() {
            _ if port.is_empty() => None,
            Ok(n) if n >= 1024 => Some(n),
            _ => {
                return Err(format!("`{port}` is not a port: say 1024 to 65535, or nothing for a free one."));
            }
        };
        let database = self.database.value().trim();
        Ok(TunnelRequest {
            id: tunnel::next_id(model),
            backend: Backend::Postgres,
            which: self.which(model),
            server: Some(self.server.clone()),
            database: (!database.is_empty()).then(|| database.to_owned()),
            app: tunnel::way(model).0,
            own_pod: self.own_pod,
            local_port,
            incident: tunnel::incident(model),
            unverified: false,
        })
    }

    fn turn(&mut self, model: &Model, forward: bool) {
        if self.field == 1 {
            self.own_pod = !self.own_pod;
            return;
        }
        let all = tunnel::servers(model);
        let here = all.iter().position(|(name, _)| *name == self.server).unwrap_or(0);
        let there = if forward { here + 1 } else { here.saturating_sub(1) };
        if let Some((name, _)) = all.get(there) {
            self.server.clone_from(name);
        }
    }

    /// Letters choose the server that begins so: `live`, `ptr`, or its name.
    fn jump(&mut self, model: &Model, letter: char) {
        self.typed.extend(letter.to_lowercase());
        let begins = |(name, class): &&(String, ServerClass)| {
            class.word().to_lowercase().starts_with(&self.typed)
                || name.to_lowercase().starts_with(&self.typed)
        };
        match tunnel::servers(model).iter().find(begins) {
            Some((name, _)) => self.server.clone_from(name),
            None => {
                let typed = std::mem::take(&mut self.typed);
                self.problem =
                    Some(format!("No server here begins with `{typed}`: ← → shows those that Azure lists."));
            }
        }
    }

    pub(super) fn key(mut self, model: &mut Model, key: &KeyEvent) -> Vec<Effect> {
        let letter = match key.code {
            KeyCode::Char(c) if c != ' ' && self.field == 0 => Some(c),
            _ => None,
        };
        if letter.is_none() {
            self.typed.clear();
        }
        match key.code {
            KeyCode::Esc => return Vec::new(),
            KeyCode::Tab | KeyCode::Down => self.field = (self.field + 1) % FIELDS,
            KeyCode::BackTab | KeyCode::Up => self.field = (self.field + FIELDS - 1) % FIELDS,
            KeyCode::Left | KeyCode::Right | KeyCode::Char(' ') if self.field < 2 => {
                self.turn(model, key.code != KeyCode::Left);
            }
            KeyCode::Enter => match self.request(model) {
                Ok(request) => return tunnel::open(model, request),
                Err(why) => self.problem = Some(why),
            },
            _ => {
                self.problem = None;
                if let Some(letter) = letter {
                    self.jump(model, letter);
                } else if matches!(key.code, KeyCode::Char(_)) && self.field == 1 {
                    self.problem = Some("← → chooses the way, Tab goes on.".into());
                }
                if let Some(input) = self.field_mut() {
                    edit(input, key);
                }
            }
        }
        open(model, Overlay::Tunnelling(self));
        Vec::new()
    }
}
