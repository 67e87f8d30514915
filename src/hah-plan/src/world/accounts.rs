//! The accounts of a [`World`] while scripts run.
//!
//! `/etc/passwd` and its three companions show the state of the moment: every change writes them, so that
//! `grep '^x:' /etc/passwd` sees what `adduser x` did. A script may edit them as well (`sed -i`, `echo >>`): before each
//! use they are compared with what was last written, and read back when they differ.

use std::sync::Arc;

use hah_format::path::TreePath;
use hah_format::tree::{Kind, Meta, Node, Owner};

use super::World;
use crate::accounts::{AccountError, AccountFile, Accounts, FILES, When};
use crate::rootfs::Content;
use crate::system::{Ids, System};

/// The accounts and what the four files were when they last agreed.
#[derive(Clone, Debug, Default)]
pub struct LiveAccounts {
    accounts: Accounts,
    /// In the order of [`FILES`]; `None` where the tree had no such file.
    agreed: [Option<Arc<[u8]>>; 4],
}

impl World<'_> {
    /// Fills in the accounts that are there before the first script: base-passwd's and the recipes'.
    ///
    /// `ids` are those of `recipes/debian/ids.toml`; the recipes' own go before them.
    pub fn start_accounts(&mut self, system: &System, ids: &Ids) -> Result<(), AccountError> {
        let mut accounts = Accounts::new(system.declared_ids(ids), self.epoch);
        accounts.add_masters(&mut |path| self.read_text_at(path))?;
        accounts.add_recipes(system, When::Early)?;
        self.accounts.accounts = accounts;
        self.write_accounts()
    }

    /// The accounts as they are now.
    pub fn accounts(&mut self) -> Result<&Accounts, AccountError> {
        self.read_accounts_back()?;
        Ok(&self.accounts.accounts)
    }

    /// Changes the accounts, and the files with them. When `change` fails, nothing has changed.
    pub fn change_accounts<T, E: From<AccountError>>(
        &mut self,
        change: impl FnOnce(&mut Accounts) -> Result<T, E>,
    ) -> Result<T, E> {
        self.read_accounts_back()?;
        let before = self.accounts.accounts.clone();
        match change(&mut self.accounts.accounts) {
            Ok(value) => {
                if self.accounts.accounts != before {
                    self.write_accounts()?;
                }
                Ok(value)
            }
            Err(error) => {
                self.accounts.accounts = before;
                Err(error)
            }
        }
    }

    /// Hands the accounts to the passes, in [`Effects`](crate::effects::Effects), when the last script has run.
    pub fn finish_accounts(&mut self) -> Result<(), AccountError> {
        self.effects.accounts = Some(self.accounts()?.clone());
        Ok(())
    }

    /// A text file of the tree by its path from the root; `None` when it is not there.
    fn read_text_at(&mut self, path: &TreePath) -> Result<Option<String>, AccountError> {
        match self.read(&TreePath::root(), &path.to_string()) {
            Ok(bytes) => match String::from_utf8(bytes) {
                Ok(text) => Ok(Some(text)),
                Err(_) => Err(AccountError::Tree(format!("{path} is not UTF-8"))),
            },
            Err(error) if error.is_final() => Err(AccountError::Tree(error.to_string())),
            Err(_) => Ok(None),
        }
    }

    fn read_accounts_back(&mut self) -> Result<(), AccountError> {
        let now = self.account_files()?;
        let same = self.accounts.agreed.iter().zip(&now).all(|(before, now)| match (before, now) {
            (Some(before), Some(now)) => Arc::ptr_eq(before, now) || before == now,
            (None, None) => true,
            _ => false,
        });
        if same {
            return Ok(());
        }
        // A file that is not there says what we know already.
        let mut texts = [const { String::new() }; 4];
        for ((text, file), bytes) in texts.iter_mut().zip(FILES).zip(&now) {
            *text = match bytes {
                None => self.accounts.accounts.text(file),
                Some(bytes) => std::str::from_utf8(bytes)
                    .map_err(|_| AccountError::Tree(format!("/{} is not UTF-8", file.path())))?
                    .to_owned(),
            };
        }
        self.accounts.accounts.read(texts.each_ref().map(String::as_str))?;
        self.accounts.agreed = now;
        Ok(())
    }

    fn account_files(&mut self) -> Result<[Option<Arc<[u8]>>; 4], AccountError> {
        let mut now = [const { None }; 4];
        for (slot, file) in now.iter_mut().zip(FILES) {
            let at = account_path(file)?;
            let Some(real) = self.tree.resolve(&at) else { continue };
            *slot = match self.tree.get(&real).map(|node| &node.kind) {
                Some(Kind::File(Content::Inline(bytes))) => Some(Arc::clone(bytes)),
                Some(_) => match self.read(&TreePath::root(), &at.to_string()) {
                    Ok(bytes) => Some(bytes.into()),
                    Err(error) => return Err(AccountError::Tree(format!("{at}: {error}"))),
                },
                None => None,
            };
        }
        Ok(now)
    }

    /// Writes the four files. What a recipe has placed stays; the pass `users` complains of it.
    fn write_accounts(&mut self) -> Result<(), AccountError> {
        for (index, file) in FILES.into_iter().enumerate() {
            let at = account_path(file)?;
            let real = self.tree.resolve(&at).unwrap_or(at);
            if self.provenance.is_from_recipe(&real) {
                continue;
            }
            let bytes: Arc<[u8]> = self.accounts.accounts.text(file).into_bytes().into();
            if self.accounts.agreed.get(index).is_some_and(|before| before.as_deref() == Some(&*bytes)) {
                continue;
            }
            let meta = match self.tree.get(&real) {
                Some(node) => node.meta.clone(),
                None if file.is_secret() => Meta { group: Owner::Name("shadow".into()), ..Meta::root(0o640) },
                None => Meta::root(0o644),
            };
            let node = Node { meta, kind: Kind::File(Content::Inline(Arc::clone(&bytes))) };
            // The files belong to the pass `users`, whoever's account it is.
            let author = self.author.take();
            let written = self.put(real, node);
            self.author = author;
            written.map_err(|error| AccountError::Tree(format!("/{}: {error}", file.path())))?;
            if let Some(slot) = self.accounts.agreed.get_mut(index) {
                *slot = Some(bytes);
            }
        }
        Ok(())
    }
}

fn account_path(file: AccountFile) -> Result<TreePath, AccountError> {
    TreePath::parse(file.path()).map_err(|error| AccountError::Tree(error.to_string()))
}
