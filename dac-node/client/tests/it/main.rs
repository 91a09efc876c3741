//! The client against scripted members: they break connections, ask for patience, and lie.

#[cfg(test)]
mod fetch;
#[cfg(test)]
mod follow;
#[cfg(test)]
mod member;
#[cfg(test)]
mod submit;
