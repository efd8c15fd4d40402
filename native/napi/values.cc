#include "values.h"

#include "aead.h"
#include "arguments.h"

namespace vpnd::face {

namespace {

constexpr uint32_t kMaxEpochs = 16;
constexpr uint32_t kMaxPrefixes = 4096;
constexpr uint32_t kMaxFd = 1 << 30;
constexpr uint32_t kDayMs = 86'400'000;

std::optional<Napi::Array> read_array(Napi::Env env, Napi::Value value, const char* name, uint32_t longest) {
  if (value.IsArray() && value.As<Napi::Array>().Length() <= longest) return value.As<Napi::Array>();
  throw_type_error(env, std::string(name) + " must be an array of at most " + std::to_string(longest));
  return std::nullopt;
}

std::optional<Epoch> read_epoch(Napi::Env env, Napi::Value value) {
  const auto object = read_object(env, value, "epoch");
  if (!object) return std::nullopt;
  const auto id = read_number(env, object->Get("id"), "epoch id", 1, UINT32_MAX);
  auto dtls = read_bytes(env, object->Get("dtlsPsk"), "dtlsPsk", 1, 256);
  auto identity = read_bytes(env, object->Get("identityKey"), "identityKey", 32, 32);
  auto probe = read_bytes(env, object->Get("probePsk"), "probePsk", 1, 256);
  auto network = read_bytes(env, object->Get("networkId"), "networkId", 32, 32);
  auto record = read_bytes(env, object->Get("record"), "record", 0, 1024);
  if (!id || !dtls || !identity || !probe || !network || !record) return std::nullopt;
  return Epoch{*id, std::move(*dtls), std::move(*identity), std::move(*probe), std::move(*network), std::move(*record)};
}

bool read_sockets(Napi::Env env, Napi::Value value, EngineOptions& out) {
  const auto sockets = read_array(env, value, "sockets", 2);
  if (!sockets) return false;
  for (uint32_t i = 0; i < sockets->Length(); i++) {
    const auto socket = read_object(env, sockets->Get(i), "socket");
    if (!socket) return false;
    const auto family = read_number(env, socket->Get("family"), "family", 4, 6);
    const auto fd = read_number(env, socket->Get("fd"), "fd", 0, kMaxFd);
    if (!family || !fd) return false;
    int& place = *family == 4 ? out.udp4_fd : out.udp6_fd;
    if (*family == 5 || place >= 0) {
      throw_type_error(env, "sockets must be at most one for each family, 4 or 6");
      return false;
    }
    place = static_cast<int>(*fd);
  }
  return true;
}

template <typename T>
void set_if(Napi::Object& object, const char* name, const std::optional<T>& value) {
  if (value) object.Set(name, *value);
}

Napi::Value bytes_value(Napi::Env env, const Bytes& bytes) {
  Napi::Uint8Array array = Napi::Uint8Array::New(env, bytes.size());
  if (!bytes.empty()) memcpy(array.Data(), bytes.data(), bytes.size());
  return array;
}

void set_traffic(Napi::Object& out, uint64_t rx_bytes, uint64_t tx_bytes, uint64_t rx_packets, uint64_t tx_packets) {
  out.Set("rxBytes", static_cast<double>(rx_bytes));
  out.Set("txBytes", static_cast<double>(tx_bytes));
  out.Set("rxPackets", static_cast<double>(rx_packets));
  out.Set("txPackets", static_cast<double>(tx_packets));
}

}  // namespace

std::optional<Identity> read_identity(Napi::Env env, Napi::Value value) {
  const auto object = read_object(env, value, "identity");
  if (!object) return std::nullopt;
  const auto badger = read_bool(env, object->Get("badger"), "badger");
  auto seed = read_bytes(env, object->Get("nodeSeed"), "nodeSeed", 32, 32);
  const auto epochs = read_array(env, object->Get("epochs"), "epochs", kMaxEpochs);
  if (!badger || !seed || !epochs) return std::nullopt;
  Identity out{*badger, std::move(*seed), {}};
  for (uint32_t i = 0; i < epochs->Length(); i++) {
    auto epoch = read_epoch(env, epochs->Get(i));
    if (!epoch) return std::nullopt;
    if (out.find_epoch(epoch->id)) {
      throw_type_error(env, "epochs must have different ids");
      return std::nullopt;
    }
    out.epochs.push_back(std::move(*epoch));
  }
  if (out.epochs.empty()) {
    throw_type_error(env, "epochs must not be empty");
    return std::nullopt;
  }
  return out;
}

std::optional<EngineOptions> read_engine_options(Napi::Env env, Napi::Value value) {
  const auto object = read_object(env, value, "options");
  if (!object) return std::nullopt;
  EngineOptions out;
  auto identity = read_identity(env, object->Get("identity"));
  if (!identity || !read_sockets(env, object->Get("sockets"), out)) return std::nullopt;
  const auto tun = read_number(env, object->Get("tunFd"), "tunFd", 0, kMaxFd);
  const auto mtu = read_number(env, object->Get("mtu"), "mtu", 68, 65407);
  const auto threads = read_number(env, object->Get("threads"), "threads", 1, kMaxThreads);
  const auto ping = read_number(env, object->Get("pingIntervalMs"), "pingIntervalMs", 1, kDayMs);
  const auto dead = read_number(env, object->Get("deadAfterMs"), "deadAfterMs", 1, kDayMs);
  if (!tun || !mtu || !threads || !ping || !dead) return std::nullopt;
  out.identity = std::move(*identity);
  out.tun_fd = static_cast<int>(*tun);
  out.mtu = *mtu;
  out.threads = *threads;
  out.ping_interval_ms = *ping;
  out.dead_after_ms = *dead;
  return out;
}

std::optional<std::vector<Prefix>> read_prefixes(Napi::Env env, Napi::Value value) {
  const auto array = read_array(env, value, "prefixes", kMaxPrefixes);
  if (!array) return std::nullopt;
  std::vector<Prefix> out;
  for (uint32_t i = 0; i < array->Length(); i++) {
    const auto text = read_text(env, array->Get(i), "prefix", 64);
    if (!text) return std::nullopt;
    const auto prefix = Prefix::parse(*text);
    if (!prefix) {
      throw_type_error(env, "prefix must look like 10.0.0.2/32 or fd00::2/128");
      return std::nullopt;
    }
    out.push_back(*prefix);
  }
  return out;
}

std::optional<Endpoint> read_endpoint(Napi::Env env, Napi::Value value) {
  const auto text = read_text(env, value, "endpoint", 64);
  if (!text) return std::nullopt;
  const auto endpoint = Endpoint::parse(*text);
  if (!endpoint) throw_type_error(env, "endpoint must look like 192.0.2.1:9944 or [2001:db8::1]:9944");
  return endpoint;
}

Napi::Object event_object(Napi::Env env, const Event& event) {
  Napi::Object out = Napi::Object::New(env);
  out.Set("type", static_cast<uint32_t>(event.type));
  out.Set("assoc", event.assoc);
  out.Set("tag", event.tag);
  out.Set("peer", event.peer);
  out.Set("capabilities", event.capabilities);
  out.Set("epoch", event.epoch);
  out.Set("role", static_cast<uint32_t>(event.role));
  out.Set("reason", static_cast<uint32_t>(event.reason));
  out.Set("refusal", static_cast<uint32_t>(event.refusal));
  out.Set("alert", static_cast<uint32_t>(event.alert));
  const auto cipher = cipher_from(event.cipher);
  out.Set("cipher", cipher ? std::string(cipher_name(*cipher)) : std::string("PSK-AES128-GCM-SHA256"));
  out.Set("foreign", event.foreign);
  out.Set("rekey", event.rekey);
  out.Set("token", Napi::BigInt::New(env, event.token));
  out.Set("rttSeconds", static_cast<double>(event.rtt_ns) / 1e9);
  out.Set("endpoint", event.endpoint);
  out.Set("innerSource", event.inner_source);
  out.Set("nodeKey", bytes_value(env, event.node_key));
  out.Set("data", bytes_value(env, event.data));
  return out;
}

Napi::Object peer_object(Napi::Env env, const PeerInfo& info) {
  Napi::Object out = Napi::Object::New(env);
  set_traffic(out, info.rx_bytes, info.tx_bytes, info.rx_packets, info.tx_packets);
  set_if(out, "rttSeconds", info.rtt_seconds);
  set_if(out, "idleSeconds", info.idle_seconds);
  set_if(out, "handshakeAgeSeconds", info.handshake_age_seconds);
  set_if(out, "mtu", info.mtu);
  if (!info.endpoint.empty()) out.Set("endpoint", info.endpoint);
  if (!info.cipher.empty()) out.Set("cipher", info.cipher);
  return out;
}

Napi::Object features_object(Napi::Env env, const EngineFeatures& features) {
  Napi::Object out = Napi::Object::New(env);
  out.Set("threads", features.threads);
  Napi::Array offloads = Napi::Array::New(env);
  for (const char* name : features.offloads) offloads.Set(offloads.Length(), name);
  out.Set("offloads", offloads);
  out.Set("receiveBufferBytes", features.receive_buffer);
  out.Set("sendBufferBytes", features.send_buffer);
  out.Set("crypto", aead_implementation());
  return out;
}

Napi::Object engine_object(Napi::Env env, const EngineInfo& info) {
  Napi::Object out = Napi::Object::New(env);
  set_traffic(out, info.rx_bytes, info.tx_bytes, info.rx_packets, info.tx_packets);
  Napi::Object drops = Napi::Object::New(env);
  for (const auto& [name, n] : info.drops) drops.Set(name, static_cast<double>(n));
  out.Set("drops", drops);
  return out;
}

}  // namespace vpnd::face
