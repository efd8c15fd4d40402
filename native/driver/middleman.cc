#include "middleman.h"

#include <poll.h>
#include <sys/socket.h>

#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <optional>

#include "clock.h"
#include "dtls.h"
#include "hello.h"
#include "udp.h"

namespace vpnd::driver {

namespace {

constexpr uint64_t kHeartbeatMs = 1000;
constexpr int kStepMs = 20;

struct Orders {
  Bytes psk, identity;
  uint16_t port = 0;
  Endpoint target, server;
  std::string heartbeat;
};

Bytes from_hex(const std::string& text) {
  Bytes out;
  for (size_t i = 0; i + 1 < text.size(); i += 2) out.push_back(static_cast<uint8_t>(std::strtoul(text.substr(i, 2).c_str(), nullptr, 16)));
  return out;
}

bool read_orders(Orders& out) {
  std::string line;
  while (std::getline(std::cin, line)) {
    const size_t space = line.find(' ');
    if (space == std::string::npos) return false;
    const std::string key = line.substr(0, space), value = line.substr(space + 1);
    if (key == "psk") out.psk = from_hex(value);
    if (key == "identity") out.identity = from_hex(value);
    if (key == "listen") out.port = static_cast<uint16_t>(std::strtoul(value.c_str(), nullptr, 10));
    if (key == "target") out.target = Endpoint::parse(value).value_or(Endpoint{});
    if (key == "server") out.server = Endpoint::parse(value).value_or(Endpoint{});
    if (key == "heartbeat") out.heartbeat = value;
  }
  return out.psk.size() == 32 && out.identity.size() == 32 && out.port != 0 && out.target.valid() && out.server.valid();
}

// One of the two associations.
struct Side {
  const char* name;
  Endpoint remote;
  std::unique_ptr<Dtls> dtls;
  std::optional<ClientRandom> random;  // of the client that dialled us
  bool up = false;
  uint64_t repeat_at_ms = 0;  // 0: no timer
};

class Middleman {
 public:
  explicit Middleman(const Orders& orders) : orders_(orders) {
    identity_.epochs.push_back({1, orders.psk, orders.identity, Bytes(64, 'a'), Bytes(32, 0), {}});
    std::string error;
    context_ = DtlsContext::make(error);
    if (context_) context_->set_identity(&identity_);
  }
  bool open() { return context_ && make_socket({4, false, 0, "", orders_.port}, fd_, orders_.port) == 0; }

  [[noreturn]] void run() {
    for (;;) {
      const uint64_t now = now_ms();
      if (now >= heartbeat_at_ms_) {
        const auto* text = reinterpret_cast<const uint8_t*>(orders_.heartbeat.data());
        send(orders_.server, {text, orders_.heartbeat.size()});
        heartbeat_at_ms_ = now + kHeartbeatMs;
      }
      pollfd fd{fd_, POLLIN, 0};
      poll(&fd, 1, kStepMs);
      receive();
      for (Side* side : {&dialler_, &target_}) repeat(*side);
    }
  }

 private:
  void send(const Endpoint& to, View datagram) { UdpSockets(fd_, -1).send(to, datagram); }

  void receive() {
    Bytes buffer(65536);
    sockaddr_storage from{};
    socklen_t size = sizeof from;
    for (;; size = sizeof from) {
      const ssize_t n = recvfrom(fd_, buffer.data(), buffer.size(), MSG_DONTWAIT, reinterpret_cast<sockaddr*>(&from), &size);
      if (n <= 0) return;
      on_datagram(Endpoint::from(reinterpret_cast<sockaddr*>(&from)), {buffer.data(), static_cast<size_t>(n)});
    }
  }

  void on_datagram(const Endpoint& from, View datagram) {
    if (datagram[0] < 20 || datagram[0] > 24) return;
    if (from == orders_.target) {
      if (target_.dtls) feed(target_, datagram);
      return;
    }
    if (const auto random = client_hello_random(datagram); random && random != dialler_.random) {
      Bytes reply;
      auto dtls = context_->listen(from, datagram, reply);
      if (!reply.empty()) send(from, reply);
      if (!dtls) return;
      dialler_ = {"dialler", from, std::move(dtls), random};
      target_ = {"target", orders_.target, nullptr, std::nullopt};
      advance(dialler_);
    } else if (dialler_.dtls && from == dialler_.remote) {
      feed(dialler_, datagram);
    }
  }

  void feed(Side& side, View datagram) {
    side.dtls->feed(datagram);
    advance(side);
  }

  void advance(Side& side) {
    if (!side.up && side.dtls->handshake() == Dtls::Status::done) {
      side.up = true;
      say(side, "finished the handshake");
      if (&side == &dialler_) {
        target_.dtls = Dtls::client(*context_, 0);
        advance(target_);
      }
    }
    if (side.up) {
      Bytes message;
      while (side.dtls->read(message) == Dtls::Read::data) on_message(side, message);
    }
    pass_on();
    flush(side);
  }

  void on_message(Side& side, const Bytes& message) {
    if (message.empty()) return;
    if (const auto reason = decode_refuse(message)) {
      say(side, ("refused with " + std::to_string(*reason)).c_str());
    } else if (message[0] == static_cast<uint8_t>(HelloType::hello)) {
      (&side == &dialler_ ? for_target_ : for_dialler_) = message;
    } else {
      say(side, "took the hello");
    }
  }

  void pass_on() {
    pass_on(for_target_, target_);
    pass_on(for_dialler_, dialler_);
  }
  void pass_on(Bytes& message, Side& to) {
    if (message.empty() || !to.up) return;
    to.dtls->write(message);
    message.clear();
    flush(to);
    say(to, "was given the other's hello");
  }

  void flush(Side& side) {
    for (const Bytes& datagram : side.dtls->take_output()) send(side.remote, datagram);
    const auto wait = side.dtls->timeout_ms();
    side.repeat_at_ms = wait ? now_ms() + *wait : 0;
  }

  void repeat(Side& side) {
    if (!side.dtls || side.up || side.repeat_at_ms == 0 || now_ms() < side.repeat_at_ms) return;
    side.dtls->on_timeout();
    flush(side);
  }

  void say(const Side& side, const char* what) {
    printf("%s %s\n", side.name, what);
    fflush(stdout);
  }

  Orders orders_;
  Identity identity_;
  std::unique_ptr<DtlsContext> context_;
  int fd_ = -1;
  uint64_t heartbeat_at_ms_ = 0;
  Side dialler_{"dialler", {}, nullptr, std::nullopt};
  Side target_{"target", {}, nullptr, std::nullopt};
  Bytes for_target_, for_dialler_;
};

}  // namespace

int middleman() {
  Orders orders;
  if (!read_orders(orders)) {
    fprintf(stderr, "middleman: orders missing or malformed\n");
    return 2;
  }
  Middleman man(orders);
  if (!man.open()) {
    fprintf(stderr, "middleman: no socket on port %u\n", orders.port);
    return 1;
  }
  printf("ready\n");
  fflush(stdout);
  man.run();
}

}  // namespace vpnd::driver
