//! Whether a store is within reach.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use crossbeam::channel::{Receiver, Sender, bounded};

/// What the parts of a store say of themselves.
#[derive(Debug)]
pub struct Health {
    lights: Mutex<Vec<Option<Arc<str>>>>,
    lights_expected: usize,
    is_told: AtomicBool,
    reached: (Sender<()>, Receiver<()>),
}

/// One part's way to say how it is.
#[derive(Debug)]
pub struct Light {
    health: Arc<Health>,
    index: usize,
}

impl Health {
    /// Of a store with so many parts that can be out of reach.
    pub fn new(parts: usize) -> Arc<Self> {
        let health = Self {
            lights: Mutex::default(),
            lights_expected: parts,
            is_told: AtomicBool::new(false),
            reached: bounded(1),
        };
        health.tell_if_whole(&[]);
        Arc::new(health)
    }

    /// A part's light, which begins with a trouble.
    pub fn light(self: &Arc<Self>, trouble: &str) -> Light {
        let mut lights = self.lights.lock().unwrap_or_else(PoisonError::into_inner);
        lights.push(Some(trouble.into()));
        Light {
            health: Arc::clone(self),
            index: lights.len() - 1,
        }
    }

    /// What keeps the store from being used, if anything.
    pub fn trouble(&self) -> Option<Arc<str>> {
        let lights = self.lights.lock().unwrap_or_else(PoisonError::into_inner);
        lights.iter().flatten().next().cloned()
    }

    /// Gets its one message when every part is within reach for the first time.
    pub fn reached(&self) -> &Receiver<()> {
        &self.reached.1
    }

    fn tell_if_whole(&self, lights: &[Option<Arc<str>>]) {
        let is_whole = lights.len() == self.lights_expected && lights.iter().all(Option::is_none);
        if is_whole && !self.is_told.swap(true, Ordering::SeqCst) {
            // There is room for the one message.
            let _ = self.reached.0.try_send(());
        }
    }
}

impl Light {
    /// This part is in trouble, or well.
    pub fn set(&self, trouble: Option<&str>) {
        let mut lights = self
            .health
            .lights
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(light) = lights.get_mut(self.index) {
            *light = trouble.map(Into::into);
        }
        self.health.tell_if_whole(&lights);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_is_reached_when_all_of_its_parts_are() {
        let health = Health::new(2);
        let first = health.light("not yet");
        first.set(None);
        assert!(health.reached().is_empty());
        let second = health.light("never seen");
        assert_eq!(health.trouble().as_deref(), Some("never seen"));
        second.set(None);
        assert!(health.reached().try_recv().is_ok());
        assert_eq!(health.trouble(), None);
        first.set(Some("gone"));
        assert_eq!(health.trouble().as_deref(), Some("gone"));
    }

    #[test]
    fn a_store_without_such_parts_is_within_reach() {
        assert!(Health::new(0).reached().try_recv().is_ok());
    }
}
