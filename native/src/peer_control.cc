// Peers, the part that takes what peers say and where they say it from.
#include <algorithm>

#include "control_message.h"
#include "peers.h"

namespace vpnd {

namespace {
constexpr uint64_t kChallengeIntervalMs = 200;
constexpr double kControlPerSecond = 100;
constexpr double kControlBurst = 200;
}  // namespace

bool Peers::within_budget(Entry& e) {
  const uint64_t now = now_ms();
  const double earned = static_cast<double>(now - e.control_budget_ms) * kControlPerSecond / 1000;
  e.control_budget = std::min(kControlBurst, e.control_budget + earned);
  e.control_budget_ms = now;
  if (e.control_budget < 1) return false;
  e.control_budget -= 1;
  return true;
}

void Peers::on_control(const Mail& mail) {
  Session* session = dataplane_.sessions.find(mail.rx_index);
  if (!session || !session->peer || mail.data.empty()) return;
  Entry* e = entry(session->peer->id);
  if (!e) return;
  if (!within_budget(*e)) {
    dataplane_.drops.add(Drop::control_rate);
    return;
  }
  const std::optional<uint64_t> token = decode_token(mail.data);
  switch (static_cast<ControlType>(mail.data[0])) {
    case ControlType::ping:
      if (token) send(*session, mail.from, encode_token(ControlType::pong, *token));
      return;
    case ControlType::pong:
      if (token) on_pong(*e, *token);
      return;
    case ControlType::path_challenge:
      if (token) send(*session, mail.from, encode_token(ControlType::path_response, *token));
      return;
    case ControlType::path_response:
      if (token) on_path_response(*e, mail.from, *token);
      return;
    case ControlType::mtu_probe:
      if (const auto asked = decode_mtu_probe(mail.data)) {
        send(*session, mail.from, encode_mtu_answer(*asked, mail.data.size()));
      }
      return;
    case ControlType::mtu_answer:
      on_mtu_answer(*e, mail.data);
      return;
    case ControlType::close:
      on_close(*e, *session, mail.data);
      return;
  }
  Event other = event(Event::Type::control, *e->peer);
  other.data.assign(mail.data.begin(), mail.data.end());
  dataplane_.events.push(std::move(other));
}

void Peers::send_control(uint32_t id, View message) {
  Entry* e = entry(id);
  if (!e) return;
  Session* session = e->peer->session.load();
  const Endpoint* to = e->peer->path.load();
  if (session && to) send(*session, *to, message);
}

void Peers::on_roam(const Mail& mail) {
  Session* session = dataplane_.sessions.find(mail.rx_index);
  if (!session || !session->peer) return;
  session->roam_pending.store(false);
  Entry* e = entry(session->peer->id);
  const uint64_t now = now_ms();
  // Only the session in use moves a path, and not more often than a round trip or two.
  if (!e || e->peer->session.load() != session || now < e->next_challenge_ms || *e->peer->path.load() == mail.from) return;
  e->next_challenge_ms = now + kChallengeIntervalMs;
  e->challenged = mail.from;
  e->challenge_token = random_token();
  send(*session, mail.from, encode_token(ControlType::path_challenge, e->challenge_token));
}

void Peers::on_path_response(Entry& e, const Endpoint& from, uint64_t token) {
  if (!e.challenged.valid() || e.challenged != from || e.challenge_token != token) return;
  e.challenged = {};
  set_path(e, from);
  if (e.path_mtu.running()) start_path_mtu(e, from);
  Event moved = event(Event::Type::path, *e.peer);
  moved.endpoint = from.text();
  dataplane_.events.push(std::move(moved));
}

void Peers::on_close(Entry& e, Session& session, View message) {
  const bool current = e.peer->session.load() == &session;
  Event closed = event(Event::Type::closed, *e.peer);
  closed.assoc = session.assoc;
  closed.reason = message.size() > 1 ? message[1] : 0;
  end_session(&session);
  if (!current) return;
  stop_path_mtu(e);
  e.probe_generation = 0;
  e.silent = false;
  e.doubt = 0;
  dataplane_.events.push(std::move(closed));
}

}  // namespace vpnd
