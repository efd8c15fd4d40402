#include "hello.h"

#include <algorithm>
#include <string_view>

namespace vpnd {

namespace {

constexpr std::string_view kLabel = "vpnd/v1 hello";
constexpr size_t kMaxExtensions = 256;

void append(Bytes& out, View bytes) { out.insert(out.end(), bytes.begin(), bytes.end()); }
void append8(Bytes& out, size_t v) { out.push_back(static_cast<uint8_t>(v)); }
void append16(Bytes& out, size_t v) {
  append8(out, v >> 8);
  append8(out, v);
}
void append32(Bytes& out, uint32_t v) {
  append16(out, v >> 16);
  append16(out, v & 0xffff);
}

Bytes signed_bytes(const HelloBinding& binding, View message) {
  Bytes out(kLabel.begin(), kLabel.end());
  append8(out, static_cast<uint8_t>(binding.signer));
  append(out, binding.network_id);
  append(out, binding.exporter);
  append(out, message);
  return out;
}

}  // namespace

Bytes encode_hello(const Hello& hello, const NodeKey& key, const HelloBinding& binding) {
  if (hello.record.size() > kMaxRecord) return {};
  Bytes out;
  append8(out, static_cast<uint8_t>(HelloType::hello));
  append8(out, kHelloVersion);
  append(out, key.public_key());
  append32(out, hello.capabilities);
  append32(out, hello.rx_index);
  append8(out, hello.ciphers.size());
  for (const Cipher c : hello.ciphers) append8(out, static_cast<uint8_t>(c));
  append16(out, hello.record.size());
  append(out, hello.record);
  append16(out, 0);  // no extensions yet
  uint8_t signature[kSignatureSize];
  if (!key.sign(signed_bytes(binding, out), signature)) return {};
  append(out, signature);
  if (out.size() > kMaxHello) return {};
  return out;
}

std::optional<Hello> decode_hello(View message, const HelloBinding& binding, HelloError& error) {
  error = HelloError::malformed;
  if (message.size() > kMaxHello) return std::nullopt;
  Reader r(message);
  if (r.u8() != static_cast<uint8_t>(HelloType::hello)) return std::nullopt;
  const uint8_t version = r.u8();
  if (r.ok() && version != kHelloVersion) {
    error = HelloError::version;
    return std::nullopt;
  }
  Hello hello;
  const View key = r.take(kPublicKeySize);
  hello.capabilities = r.u32();
  hello.rx_index = r.u32();
  const View ciphers = r.take(r.u8());
  const size_t record_size = r.u16();
  if (record_size > kMaxRecord) return std::nullopt;
  const View record = r.take(record_size);
  const size_t extensions_size = r.u16();
  if (extensions_size > kMaxExtensions) return std::nullopt;
  r.take(extensions_size);
  const size_t signed_size = r.at();
  const View signature = r.take(kSignatureSize);
  if (!r.ok() || r.left() != 0 || hello.rx_index == 0) return std::nullopt;
  if (!verify_signature(key, signed_bytes(binding, message.first(signed_size)), signature)) {
    error = HelloError::signature;
    return std::nullopt;
  }
  std::copy(key.begin(), key.end(), hello.node_key.begin());
  for (const uint8_t number : ciphers) {
    if (const auto cipher = cipher_from(number)) hello.ciphers.push_back(*cipher);
  }
  hello.record.assign(record.begin(), record.end());
  return hello;
}

Bytes encode_ack(uint32_t rx_index) {
  Bytes out{static_cast<uint8_t>(HelloType::ack), kHelloVersion};
  append32(out, rx_index);
  return out;
}

std::optional<uint32_t> decode_ack(View message) {
  Reader r(message);
  const bool fits = r.u8() == static_cast<uint8_t>(HelloType::ack) && r.u8() == kHelloVersion;
  const uint32_t index = r.u32();
  if (!fits || !r.ok()) return std::nullopt;
  return index;
}

Bytes encode_refuse(uint8_t reason) { return {static_cast<uint8_t>(HelloType::refuse), kHelloVersion, reason}; }

std::optional<uint8_t> decode_refuse(View message) {
  Reader r(message);
  const bool fits = r.u8() == static_cast<uint8_t>(HelloType::refuse);
  r.u8();  // of any version: the reason may be the version
  const uint8_t reason = r.u8();
  if (!fits || !r.ok()) return std::nullopt;
  return reason;
}

std::optional<Cipher> choose_cipher(const std::vector<Cipher>& client, const std::vector<Cipher>& server) {
  for (const Cipher c : client) {
    if (std::find(server.begin(), server.end(), c) != server.end()) return c;
  }
  return std::nullopt;
}

}  // namespace vpnd
