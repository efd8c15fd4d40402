// What a foreign DTLS client with the PSK says inside the association (HELLO, ACK, REFUSE, IP packets, anything), after a handshake
// that is right, in the three ways that there are: as vpnd, as a Badger, as a probe.
#include <openssl/hmac.h>

#include "handshakes.h"
#include "input.h"
#include "world.h"

using namespace vpnd;
using namespace vpnd::fuzz;

namespace {

enum class Kind : uint8_t { vpnd, badger, probe };

Identity identity(bool badger) {
  Identity id;
  id.badger = badger;
  id.node_seed = Bytes(32, 2);
  id.epochs.push_back({1, Bytes(32, 4), Bytes(32, 5), Bytes(64, 'a'), Bytes(32, 1), Bytes(64, 3)});
  return id;
}

std::string name_for(SSL* ssl) {
  uint8_t random[32], digest[32];
  SSL_get_client_random(ssl, random, sizeof random);
  const Bytes key(32, 5);
  unsigned size = 0;
  HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), random, sizeof random, digest, &size);
  std::string out;
  char digits[3];
  for (int i = 0; i < 8; i++) {
    snprintf(digits, sizeof digits, "%02x", digest[i]);
    out += digits;
  }
  return out;
}

unsigned give_psk(SSL* ssl, const char*, char* name, unsigned max_name, unsigned char* psk, unsigned) {
  const Kind kind = *static_cast<Kind*>(SSL_get_app_data(ssl));
  const std::string mine = kind == Kind::vpnd ? name_for(ssl) : kind == Kind::probe ? "vpnd-probe" : "anybody";
  EXPECT(mine.size() < max_name);
  memcpy(name, mine.c_str(), mine.size() + 1);
  const Bytes key = kind == Kind::probe ? Bytes(64, 'a') : Bytes(32, 4);
  std::copy(key.begin(), key.end(), psk);
  return static_cast<unsigned>(key.size());
}

SSL_CTX* client_context() {
  static SSL_CTX* made = [] {
    SSL_CTX* ctx = SSL_CTX_new(DTLS_client_method());
    EXPECT(SSL_CTX_set_max_proto_version(ctx, DTLS1_2_VERSION));
    SSL_CTX_set_psk_client_callback(ctx, give_psk);
    return ctx;
  }();
  return made;
}

class Client {
 public:
  explicit Client(Kind kind) : kind_(kind), ssl_(SSL_new(client_context())), in_(BIO_new(BIO_s_mem())), out_(BIO_new(BIO_s_mem())) {
    BIO_set_mem_eof_return(in_, -1);
    BIO_set_mem_eof_return(out_, -1);
    SSL_set_bio(ssl_, in_, out_);
    SSL_set_app_data(ssl_, &kind_);
    SSL_set_options(ssl_, SSL_OP_NO_QUERY_MTU);
    SSL_set_mtu(ssl_, 1232);
    EXPECT(SSL_set_cipher_list(ssl_, kind == Kind::vpnd ? "ECDHE-PSK-CHACHA20-POLY1305" : "PSK-AES128-GCM-SHA256"));
    SSL_set_connect_state(ssl_);
  }
  ~Client() { SSL_free(ssl_); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  bool connect(Plane& server, Handshakes& handshakes) {
    for (int round = 0; round < 8; round++) {
      if (SSL_do_handshake(ssl_) == 1) return true;
      exchange(server, handshakes);
    }
    return false;
  }
  void say(View message) { SSL_write(ssl_, message.data(), static_cast<int>(message.size())); }
  // Record by record to the server, and what it answers back.
  void exchange(Plane& server, Handshakes& handshakes) {
    char* data = nullptr;
    const long size = BIO_get_mem_data(out_, &data);
    View left{reinterpret_cast<const uint8_t*>(data), size > 0 ? static_cast<size_t>(size) : 0};
    while (left.size() >= 13) {
      const size_t record = std::min<size_t>(left.size(), 13u + load16(left.data() + 11));
      handshakes.on_datagram(server.endpoint, copy(left.first(record)));
      left = left.subspan(record);
    }
    (void)BIO_reset(out_);
    Bytes answer;
    while (server.receive(answer)) BIO_write(in_, answer.data(), static_cast<int>(answer.size()));
  }
  void read() {
    uint8_t buffer[16384];
    constexpr size_t kIndexAt = 2 + kPublicKeySize + 4;
    for (int i = 0; i < 8; i++) {
      const int n = SSL_read(ssl_, buffer, sizeof buffer);
      if (n <= 0) return;
      if (buffer[0] == static_cast<uint8_t>(HelloType::hello) && static_cast<size_t>(n) > kIndexAt + 4) {
        server_index_ = load32(buffer + kIndexAt);
      }
    }
  }
  // A HELLO that is right in all but, perhaps, what the input chose.
  void say_hello(uint32_t index, View record) {
    static const auto key = NodeKey::from_seed(Bytes(32, 9));
    uint8_t exporter[kExporterSize];
    EXPECT(SSL_export_keying_material(ssl_, exporter, sizeof exporter, kHelloExporter, strlen(kHelloExporter), nullptr, 0, 0) == 1);
    const Bytes network_id(32, 1);
    Hello hello;
    hello.rx_index = index;
    hello.ciphers = cipher_preference();
    hello.record.assign(record.begin(), record.end());
    const Bytes message = encode_hello(hello, *key, {Role::client, network_id, exporter});
    if (!message.empty()) say(message);
  }
  void say_ack() { say(encode_ack(server_index_)); }

 private:
  Kind kind_;
  SSL* ssl_;
  BIO* in_;
  BIO* out_;
  uint32_t server_index_ = 0;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static Plane plane;
  plane.clear();
  Input in(data, size);
  const uint8_t mode = in.u8();
  const Kind kind = static_cast<Kind>(mode % 3);
  Timers timers;
  Peers peers(*plane.dataplane, timers, 5000, 15000);
  peers.set(World::kPeer, {*Prefix::parse("10.9.0.0/24")});
  peers.publish_routes();
  std::string error;
  {
    // The server's answers go to its own socket: that is the client's address.
    Handshakes handshakes(*plane.dataplane, timers, peers, DtlsContext::make(error), identity(kind == Kind::badger || mode & 0x80));
    Client client(kind);
    if (kind == Kind::vpnd && mode & 0x80) return 0;
    EXPECT(client.connect(plane, handshakes));
    uint32_t assoc = 0;
    for (int i = 0; i < 64 && !in.empty(); i++) {
      for (const Event& event : plane.dataplane->events.drain()) {
        if (event.type == Event::Type::hello || event.type == Event::Type::foreign) assoc = event.assoc;
      }
      const uint8_t op = in.u8();
      if (op % 8 == 0) handshakes.admit(assoc, World::kPeer);
      else if (op % 8 == 1) handshakes.refuse(assoc, in.u8());
      else if (op % 8 == 2) handshakes.send_foreign(World::kPeer, copy(in.piece()));
      else if (op % 8 == 3) client.say_hello(op, in.piece());
      else if (op % 8 == 4) client.say_ack();
      else client.say(copy(in.piece()));
      client.exchange(plane, handshakes);
      client.read();
    }
    handshakes.drop_peer(World::kPeer);
  }
  peers.remove(World::kPeer, CloseReason::removed);
  plane.dataplane->reclaimer.collect();
  return 0;
}
