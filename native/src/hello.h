// HELLO, ACK and REFUSE: what two vpnd say to each other as DTLS application data before any IP packet (docs/wire.md).
#pragma once
#include <optional>

#include "aead.h"
#include "node_key.h"

namespace vpnd {

inline constexpr uint8_t kHelloVersion = 1;
inline constexpr size_t kMaxRecord = 1024;
inline constexpr size_t kMaxHello = 1200;
inline constexpr size_t kExporterSize = 32;
// Capabilities, bits.
inline constexpr uint32_t kAnswersMtuProbes = 1;
inline constexpr char kHelloExporter[] = "EXPORTER-vpnd-hello";

enum class HelloType : uint8_t { hello = 1, ack = 2, refuse = 3 };

// Numbers of REFUSE; those the engine itself uses, TypeScript knows all.
enum class Refusal : uint8_t { version = 1, no_cipher = 2, signature = 3 };

enum class Role : uint8_t { client = 1, server = 2 };

struct Hello {
  PublicKey node_key{};
  uint32_t capabilities = 0;
  uint32_t rx_index = 0;
  std::vector<Cipher> ciphers;  // best first; unknown numbers left out
  Bytes record;
};

// What the signature binds to beside the message.
struct HelloBinding {
  Role signer;
  View network_id;
  View exporter;  // kExporterSize bytes
};

// Empty when it would be too long or could not be signed.
Bytes encode_hello(const Hello& hello, const NodeKey& key, const HelloBinding& binding);

enum class HelloError : uint8_t { malformed, version, signature };
// Checks the signature too.
std::optional<Hello> decode_hello(View message, const HelloBinding& binding, HelloError& error);

Bytes encode_ack(uint32_t rx_index);
std::optional<uint32_t> decode_ack(View message);
Bytes encode_refuse(uint8_t reason);
std::optional<uint8_t> decode_refuse(View message);

// The first of the DTLS client's list that the server has too.
std::optional<Cipher> choose_cipher(const std::vector<Cipher>& client, const std::vector<Cipher>& server);

}  // namespace vpnd
