// DTLS 1.2 with PSK by OpenSSL over memory: one context for an engine, one connection for an association. Control thread only.
#pragma once
#include <openssl/ssl.h>

#include <array>
#include <memory>
#include <optional>
#include <string>

#include "address.h"
#include "engine.h"
#include "hello.h"

namespace vpnd {

using ClientRandom = std::array<uint8_t, 32>;

class DtlsContext;

class Dtls {
 public:
  enum class Status : uint8_t { working, done, failed };
  enum class Read : uint8_t { data, none, closed };

  // `epoch`: 0 is the preferred one. Null also when the epoch is accepted no more.
  static std::unique_ptr<Dtls> client(DtlsContext& context, uint32_t epoch);
  ~Dtls();
  Dtls(const Dtls&) = delete;
  Dtls& operator=(const Dtls&) = delete;

  // One datagram at a time; call handshake() or read() until it has nothing before the next one.
  void feed(View datagram);
  Status handshake();
  Read read(Bytes& out);
  bool write(View message);
  void close_notify();
  // What is to be sent, cut into datagrams.
  std::vector<Bytes> take_output();

  // Milliseconds until on_timeout() is due; nothing while no flight is open.
  std::optional<uint64_t> timeout_ms() const;
  // Repeats the last flight.
  void on_timeout();

  bool foreign_suite() const;       // PSK-AES128-GCM-SHA256 was negotiated
  bool extended_master_secret() const;
  bool probe() const { return probe_; }
  bool unknown_identity() const { return unknown_identity_; }
  // Id of the PSK epoch in use; 0 until a server knows.
  uint32_t epoch() const { return epoch_; }
  // Server: which epoch to take when the PSK identity does not tell (counted from the preferred one, wraps around).
  void set_guess(unsigned guess, unsigned probe_guess) {
    guess_ = guess;
    probe_guess_ = probe_guess;
  }
  // Server: the epoch was taken by that.
  bool guessed() const { return guessed_; }
  // Client: its Finished is out, nothing came back. Server: the peer's ChangeCipherSpec came, its Finished did not.
  bool awaits_finished() const;
  bool export_key(const char* label, View context, bool use_context, uint8_t* out, size_t size) const;

 private:
  friend class DtlsContext;
  Dtls(DtlsContext& context, SSL* ssl);

  DtlsContext& context_;
  SSL* ssl_;
  BIO* in_;
  BIO* out_;
  bool probe_ = false;
  bool unknown_identity_ = false;
  uint32_t epoch_ = 0;
  unsigned guess_ = 0;
  unsigned probe_guess_ = 0;
  bool guessed_ = false;
};

class DtlsContext {
 public:
  static std::unique_ptr<DtlsContext> make(std::string& error);
  ~DtlsContext();
  DtlsContext(const DtlsContext&) = delete;
  DtlsContext& operator=(const DtlsContext&) = delete;

  // `identity` must outlive its use here.
  void set_identity(const Identity* identity) { identity_ = identity; }

  // A ClientHello from a source without an association. With a good cookie: the connection to go on with; otherwise null, and
  // `reply` is a HelloVerifyRequest or empty. Nothing is kept for the source.
  std::unique_ptr<Dtls> listen(const Endpoint& from, View datagram, Bytes& reply);

 private:
  friend class Dtls;
  DtlsContext() = default;
  std::unique_ptr<Dtls> make_connection();
  const Epoch& guess_epoch(Dtls& dtls) const;
  unsigned server_psk(Dtls& dtls, const char* identity, uint8_t* psk, unsigned max) const;
  unsigned client_psk(Dtls& dtls, char* identity, unsigned max_identity, uint8_t* psk, unsigned max) const;
  unsigned cookie(const SSL* ssl, uint8_t* out) const;

  static unsigned on_server_psk(SSL* ssl, const char* identity, unsigned char* psk, unsigned max);
  static unsigned on_client_psk(SSL* ssl, const char* hint, char* identity, unsigned max_identity, unsigned char* psk, unsigned max);
  static int on_make_cookie(SSL* ssl, unsigned char* out, unsigned* size);
  static int on_check_cookie(SSL* ssl, const unsigned char* given, unsigned size);

  SSL_CTX* ssl_context_ = nullptr;
  const Identity* identity_ = nullptr;
  std::array<uint8_t, 32> cookie_key_{};
  std::unique_ptr<Dtls> listener_;
  Endpoint listening_to_;
};

// The client_random of a datagram that begins with a whole ClientHello; nothing otherwise.
std::optional<ClientRandom> client_hello_random(View datagram);

}  // namespace vpnd
