#include "dtls.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#include <algorithm>

#include "dtls_datagram.h"

namespace vpnd {

namespace {

constexpr char kForeignSuite[] = "PSK-AES128-GCM-SHA256";
constexpr char kSuites[] = "ECDHE-PSK-CHACHA20-POLY1305:PSK-AES128-GCM-SHA256";
constexpr char kOwnSuite[] = "ECDHE-PSK-CHACHA20-POLY1305";
constexpr char kBadgerIdentity[] = "badger";
constexpr char kProbeIdentity[] = "vpnd-probe";
constexpr size_t kIdentityDigits = 16;
constexpr size_t kMaxDatagram = 1400;
// Flights fit one datagram of any path that IPv6 allows (1280 less 48).
constexpr long kHandshakeMtu = 1232;
// First repetition of a flight; short, because the repetition is also the hole punch that gets through.
constexpr unsigned kFirstTimeoutUs = 400'000;
constexpr unsigned kMaxTimeoutUs = 3'000'000;

unsigned next_timeout(SSL*, unsigned current_us) {
  return current_us == 0 ? kFirstTimeoutUs : std::min(current_us * 2, kMaxTimeoutUs);
}

std::string psk_identity(const SSL* ssl, const Bytes& key) {
  uint8_t random[32];
  SSL_get_client_random(ssl, random, sizeof random);
  uint8_t digest[32];
  unsigned size = 0;
  HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), random, sizeof random, digest, &size);
  static constexpr char kHex[] = "0123456789abcdef";
  std::string out;
  for (size_t i = 0; i < kIdentityDigits / 2; i++) {
    out += kHex[digest[i] >> 4];
    out += kHex[digest[i] & 15];
  }
  return out;
}

unsigned give(const Bytes& key, uint8_t* psk, unsigned max) {
  if (key.empty() || key.size() > max) return 0;
  std::copy(key.begin(), key.end(), psk);
  return static_cast<unsigned>(key.size());
}

bool is_foreign_suite(const SSL_CIPHER* cipher) { return cipher && strcmp(SSL_CIPHER_get_name(cipher), kForeignSuite) == 0; }

}  // namespace

// --- one connection ---------------------------------------------------------------------------------------------

Dtls::Dtls(DtlsContext& context, SSL* ssl) : context_(context), ssl_(ssl), in_(BIO_new(BIO_s_mem())), out_(BIO_new(BIO_s_mem())) {
  BIO_set_mem_eof_return(in_, -1);
  BIO_set_mem_eof_return(out_, -1);
  SSL_set_bio(ssl_, in_, out_);
  SSL_set_app_data(ssl_, this);
  SSL_set_mtu(ssl_, kHandshakeMtu);
  DTLS_set_timer_cb(ssl_, next_timeout);
}

Dtls::~Dtls() { SSL_free(ssl_); }

std::unique_ptr<Dtls> Dtls::client(DtlsContext& context, uint32_t epoch) {
  if (epoch == 0) epoch = context.identity_->epochs.front().id;
  if (!context.identity_->find_epoch(epoch)) return nullptr;
  auto dtls = context.make_connection();
  if (!dtls) return nullptr;
  dtls->epoch_ = epoch;
  // Only a network of Badgers is offered the suite without forward secrecy.
  if (!context.identity_->badger) SSL_set_cipher_list(dtls->ssl_, kOwnSuite);
  SSL_set_connect_state(dtls->ssl_);
  return dtls;
}

void Dtls::feed(View datagram) {
  (void)BIO_reset(in_);
  BIO_write(in_, datagram.data(), static_cast<int>(datagram.size()));
}

Dtls::Status Dtls::handshake() {
  ERR_clear_error();
  const int r = SSL_do_handshake(ssl_);
  if (r == 1) return Status::done;
  const int error = SSL_get_error(ssl_, r);
  ERR_clear_error();
  return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ? Status::working : Status::failed;
}

Dtls::Read Dtls::read(Bytes& out) {
  out.resize(16384);
  ERR_clear_error();
  const int n = SSL_read(ssl_, out.data(), static_cast<int>(out.size()));
  if (n > 0) {
    out.resize(static_cast<size_t>(n));
    return Read::data;
  }
  const int error = SSL_get_error(ssl_, n);
  ERR_clear_error();
  out.clear();
  return error == SSL_ERROR_ZERO_RETURN || error == SSL_ERROR_SSL ? Read::closed : Read::none;
}

bool Dtls::write(View message) {
  ERR_clear_error();
  const int n = SSL_write(ssl_, message.data(), static_cast<int>(message.size()));
  ERR_clear_error();
  return n > 0;
}

void Dtls::close_notify() {
  ERR_clear_error();
  SSL_shutdown(ssl_);
  ERR_clear_error();
}

std::vector<Bytes> Dtls::take_output() {
  std::vector<Bytes> datagrams;
  char* data = nullptr;
  const long size = BIO_get_mem_data(out_, &data);
  View left{reinterpret_cast<const uint8_t*>(data), size > 0 ? static_cast<size_t>(size) : 0};
  while (left.size() >= kDtlsHeader) {
    const size_t record = std::min(left.size(), kDtlsHeader + load16(left.data() + 11));
    if (datagrams.empty() || datagrams.back().size() + record > kMaxDatagram) datagrams.emplace_back();
    datagrams.back().insert(datagrams.back().end(), left.begin(), left.begin() + static_cast<ptrdiff_t>(record));
    left = left.subspan(record);
  }
  (void)BIO_reset(out_);
  return datagrams;
}

std::optional<uint64_t> Dtls::timeout_ms() const {
  timeval left{};
  if (DTLSv1_get_timeout(ssl_, &left) != 1) return std::nullopt;
  return static_cast<uint64_t>(left.tv_sec) * 1000 + static_cast<uint64_t>(left.tv_usec + 999) / 1000;
}

void Dtls::on_timeout() {
  ERR_clear_error();
  DTLSv1_handle_timeout(ssl_);
  ERR_clear_error();
}

bool Dtls::foreign_suite() const { return is_foreign_suite(SSL_get_current_cipher(ssl_)); }
bool Dtls::extended_master_secret() const { return SSL_get_extms_support(ssl_) == 1; }

bool Dtls::awaits_finished() const {
  const OSSL_HANDSHAKE_STATE state = SSL_get_state(ssl_);
  return state == TLS_ST_CW_FINISHED || state == TLS_ST_SR_CHANGE;
}

bool Dtls::export_key(const char* label, View context, bool use_context, uint8_t* out, size_t size) const {
  return SSL_export_keying_material(ssl_, out, size, label, strlen(label), context.data(), context.size(), use_context ? 1 : 0) == 1;
}

// --- the context ------------------------------------------------------------------------------------------------

std::unique_ptr<DtlsContext> DtlsContext::make(std::string& error) {
  std::unique_ptr<DtlsContext> context(new DtlsContext());
  SSL_CTX* ctx = SSL_CTX_new(DTLS_method());
  context->ssl_context_ = ctx;
  if (!ctx || SSL_CTX_set_min_proto_version(ctx, DTLS1_2_VERSION) != 1 || SSL_CTX_set_max_proto_version(ctx, DTLS1_2_VERSION) != 1 ||
      SSL_CTX_set_cipher_list(ctx, kSuites) != 1 || SSL_CTX_set1_groups_list(ctx, "X25519") != 1 ||
      RAND_bytes(context->cookie_key_.data(), static_cast<int>(context->cookie_key_.size())) != 1) {
    error = "OpenSSL refuses DTLS 1.2 with PSK";
    ERR_clear_error();
    return nullptr;
  }
  SSL_CTX_set_security_level(ctx, 1);
  // Renegotiation is off, so a foreign server that does not speak RFC 5746 does no harm.
  SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_QUERY_MTU | SSL_OP_COOKIE_EXCHANGE |
                               SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_LEGACY_SERVER_CONNECT | SSL_OP_NO_COMPRESSION);
  SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_verify(ctx, SSL_VERIFY_NONE, nullptr);
  SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_app_data(ctx, context.get());
  SSL_CTX_set_psk_server_callback(ctx, on_server_psk);
  SSL_CTX_set_psk_client_callback(ctx, on_client_psk);
  SSL_CTX_set_cookie_generate_cb(ctx, on_make_cookie);
  SSL_CTX_set_cookie_verify_cb(ctx, on_check_cookie);
  return context;
}

DtlsContext::~DtlsContext() {
  listener_.reset();
  SSL_CTX_free(ssl_context_);
  OPENSSL_cleanse(cookie_key_.data(), cookie_key_.size());
}

std::unique_ptr<Dtls> DtlsContext::make_connection() {
  SSL* ssl = SSL_new(ssl_context_);
  if (!ssl) return nullptr;
  return std::unique_ptr<Dtls>(new Dtls(*this, ssl));
}

std::unique_ptr<Dtls> DtlsContext::listen(const Endpoint& from, View datagram, Bytes& reply) {
  if (!listener_) listener_ = make_connection();
  if (!listener_) return nullptr;
  listening_to_ = from;
  listener_->feed(datagram);
  BIO_ADDR* ignored = BIO_ADDR_new();
  ERR_clear_error();
  const int r = DTLSv1_listen(listener_->ssl_, ignored);
  ERR_clear_error();
  BIO_ADDR_free(ignored);
  const std::vector<Bytes> output = listener_->take_output();
  if (r == 1) return std::move(listener_);
  // Never larger than the question, so that a forged source gains nothing.
  if (output.size() == 1 && output[0].size() <= datagram.size()) reply = output[0];
  return nullptr;
}

const Epoch& DtlsContext::guess_epoch(Dtls& dtls) const {
  const Epoch& epoch = identity_->epochs[(dtls.probe_ ? dtls.probe_guess_ : dtls.guess_) % identity_->epochs.size()];
  dtls.epoch_ = epoch.id;
  dtls.guessed_ = true;
  return epoch;
}

unsigned DtlsContext::server_psk(Dtls& dtls, const char* identity, uint8_t* psk, unsigned max) const {
  const std::string_view given = identity ? identity : "";
  if (is_foreign_suite(SSL_get_pending_cipher(dtls.ssl_))) {
    if (given == kProbeIdentity) {
      dtls.probe_ = true;
      return give(guess_epoch(dtls).probe_psk, psk, max);
    }
    if (identity_->badger) return give(guess_epoch(dtls).dtls_psk, psk, max);
  } else if (identity_->badger) {
    return give(guess_epoch(dtls).dtls_psk, psk, max);
  } else {
    for (const Epoch& epoch : identity_->epochs) {
      if (given != psk_identity(dtls.ssl_, epoch.identity_key)) continue;
      dtls.epoch_ = epoch.id;
      return give(epoch.dtls_psk, psk, max);
    }
  }
  dtls.unknown_identity_ = true;
  return 0;
}

unsigned DtlsContext::client_psk(Dtls& dtls, char* identity, unsigned max_identity, uint8_t* psk, unsigned max) const {
  const Epoch* epoch = identity_->find_epoch(dtls.epoch_);
  if (!epoch) return 0;
  const std::string mine = identity_->badger ? kBadgerIdentity : psk_identity(dtls.ssl_, epoch->identity_key);
  if (mine.size() >= max_identity) return 0;
  memcpy(identity, mine.c_str(), mine.size() + 1);
  return give(epoch->dtls_psk, psk, max);
}

unsigned DtlsContext::cookie(const SSL*, uint8_t* out) const {
  uint8_t source[19];
  source[0] = listening_to_.address.family;
  memcpy(source + 1, listening_to_.address.bytes.data(), 16);
  store16(source + 17, listening_to_.port);
  unsigned size = 0;
  HMAC(EVP_sha256(), cookie_key_.data(), static_cast<int>(cookie_key_.size()), source, sizeof source, out, &size);
  return size;
}

namespace {
DtlsContext& context_of(SSL* ssl) { return *static_cast<DtlsContext*>(SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl))); }
Dtls& connection_of(SSL* ssl) { return *static_cast<Dtls*>(SSL_get_app_data(ssl)); }
}  // namespace

unsigned DtlsContext::on_server_psk(SSL* ssl, const char* identity, unsigned char* psk, unsigned max) {
  return context_of(ssl).server_psk(connection_of(ssl), identity, psk, max);
}

unsigned DtlsContext::on_client_psk(SSL* ssl, const char*, char* identity, unsigned max_identity, unsigned char* psk, unsigned max) {
  return context_of(ssl).client_psk(connection_of(ssl), identity, max_identity, psk, max);
}

int DtlsContext::on_make_cookie(SSL* ssl, unsigned char* out, unsigned* size) {
  *size = context_of(ssl).cookie(ssl, out);
  return *size != 0;
}

int DtlsContext::on_check_cookie(SSL* ssl, const unsigned char* given, unsigned size) {
  uint8_t expected[EVP_MAX_MD_SIZE];
  const unsigned n = context_of(ssl).cookie(ssl, expected);
  return n != 0 && n == size && CRYPTO_memcmp(expected, given, n) == 0;
}

std::optional<ClientRandom> client_hello_random(View datagram) {
  // Record header 13 (type 22, epoch 0), handshake header 12 (type 1, whole in one fragment), version 2, random 32.
  constexpr size_t kRandomAt = kDtlsHeader + 12 + 2;
  if (datagram.size() < kRandomAt + 32 || datagram[0] != kHandshake || load16(&datagram[3]) != 0 || datagram[kDtlsHeader] != 1) {
    return std::nullopt;
  }
  ClientRandom random;
  std::copy_n(datagram.begin() + kRandomAt, random.size(), random.begin());
  return random;
}

}  // namespace vpnd
