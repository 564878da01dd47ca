//! Clients that go away at every moment there is, in every way there is.

use std::thread;
use std::time::{Duration, Instant};

use popbox_test_support::{Client, Random};

use super::caller::Caller;
use super::consumer::{is_refusal, pop_request, read};
use super::ledger::Consumer;
use super::outlet::{Outlet, Route};
use super::world::World;

/// How long an answer is waited for, in seconds, and how long one that is not read is left alone.
const WAIT_S: usize = 3;
const STALL_MAX_MS: usize = 3_000;

/// When it goes.
#[derive(Clone, Copy)]
enum Phase {
    BeforeTheHead,
    WithinTheHead,
    WhileWaiting,
    WithinTheAnswer,
    BeforeTheAck,
}

/// How it goes.
#[derive(Clone, Copy)]
enum Manner {
    Close,
    Reset,
    /// It reads no more, and is reset a while later.
    Stall,
}

/// Visits a queue again and again until the load is over.
pub(crate) fn visit(world: &World, place: usize, name: Consumer, mut random: Random) {
    while world.stage.is_load() {
        let phase = [
            Phase::BeforeTheHead,
            Phase::WithinTheHead,
            Phase::WhileWaiting,
            Phase::WithinTheAnswer,
            Phase::BeforeTheAck,
        ][random.below(5)];
        let manner = [Manner::Close, Manner::Reset, Manner::Stall][random.below(3)];
        let agent = random.below(world.site.agents.len());
        let address = world.site.agents[agent].address();
        match Client::try_connect_narrow(address) {
            Ok(mut client) => {
                come(world, place, name, &mut client, phase, &mut random);
                go(client, manner, &mut random);
            }
            Err(_) => Caller::pause(),
        }
        thread::sleep(Duration::from_millis(random.below(300) as u64));
    }
}

fn come(
    world: &World,
    place: usize,
    name: Consumer,
    client: &mut Client,
    phase: Phase,
    random: &mut Random,
) {
    let outlet = &world.outlets[place];
    let bytes = pop_request(outlet, outlet.route, WAIT_S).bytes(client.host());
    let cut = match phase {
        Phase::BeforeTheHead => 0,
        Phase::WithinTheHead => random.below(bytes.len()),
        Phase::WhileWaiting | Phase::WithinTheAnswer | Phase::BeforeTheAck => bytes.len(),
    };
    let asked = world.ledger.now();
    // It is going anyway, so it does not matter how far this comes.
    let _ = client.try_send_raw(&bytes[..cut]);
    if cut < bytes.len() {
        return;
    }
    match phase {
        Phase::BeforeTheHead | Phase::WithinTheHead => {}
        Phase::WhileWaiting => {
            world.ledger.departed(place);
            thread::sleep(Duration::from_millis(random.below(500) as u64));
        }
        Phase::WithinTheAnswer => {
            world.ledger.departed(place);
            let deadline = Instant::now() + Duration::from_secs(WAIT_S as u64);
            while world.stage.is_load()
                && Instant::now() < deadline
                && client.is_silent_for(Duration::from_millis(100))
            {}
        }
        Phase::BeforeTheAck => match answer(outlet, client) {
            Some(body) => {
                for parcel in read(world, outlet, &body) {
                    world.ledger.received(&parcel, place, name, asked);
                }
            }
            None => world.ledger.departed(place),
        },
    }
}

/// A whole answer, or the first chunk of a stream; none if it is a refusal or does not come.
fn answer(outlet: &Outlet, client: &mut Client) -> Option<Vec<u8>> {
    let limit = Duration::from_secs(WAIT_S as u64 + 1);
    match outlet.route {
        Route::Pop | Route::Poprel => {
            let answer = client.try_receive(limit).ok()?;
            (answer.status == 200).then_some(answer.body)
        }
        Route::Subscribe | Route::Subscriberel => {
            let head = client.try_receive_head(limit).ok()?;
            if head.status != 200 {
                return None;
            }
            let chunk = client.try_receive_chunk(limit).ok()?;
            chunk.filter(|chunk| !is_refusal(chunk))
        }
    }
}

fn go(client: Client, manner: Manner, random: &mut Random) {
    match manner {
        Manner::Close => drop(client),
        Manner::Reset => client.reset(),
        Manner::Stall => {
            thread::sleep(Duration::from_millis(random.below(STALL_MAX_MS) as u64));
            client.reset();
        }
    }
}
