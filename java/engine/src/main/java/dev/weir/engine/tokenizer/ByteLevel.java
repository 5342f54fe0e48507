package dev.weir.engine.tokenizer;

import java.io.ByteArrayOutputStream;

/**
 * The byte alphabet of GPT-2's {@code bytes_to_unicode}: printable Latin-1 characters stand for
 * themselves, the other 68 bytes for U+0100, U+0101, ... in order.
 */
final class ByteLevel {
  private static final short[] BYTE_OF = new short[0x100 + 68];

  static {
    int next = 0x100;
    for (int value = 0; value < 0x100; value++) {
      boolean printable =
          value >= '!' && value <= '~' || value >= 0xA1 && value <= 0xAC || value >= 0xAE;
      if (!printable) {
        BYTE_OF[value] = -1;
        BYTE_OF[next++] = (short) value;
      } else {
        BYTE_OF[value] = (short) value;
      }
    }
  }

  private ByteLevel() {}

  /** The bytes that a token prints; a character outside of the alphabet prints nothing. */
  static byte[] bytes(String piece) {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream(piece.length());
    for (int i = 0; i < piece.length(); i++) {
      char c = piece.charAt(i);
      if (c < BYTE_OF.length && BYTE_OF[c] >= 0) {
        bytes.write(BYTE_OF[c]);
      }
    }
    return bytes.toByteArray();
  }
}
