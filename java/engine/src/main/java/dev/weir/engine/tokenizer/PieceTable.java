package dev.weir.engine.tokenizer;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.CharsetDecoder;

/**
 * The bytes that each token prints. Decoding needs nothing else, so all tokenizer formats share one
 * decoder, and a generation that outlives its tokenizer can still be read.
 */
final class PieceTable {
  private static final byte[] NOTHING = {};

  private final byte[][] pieces;

  /** The pieces that are whole characters as text; null for the others. */
  private final String[] texts;

  private final int bos;
  private final boolean dummyPrefix;
  private final int longestToken;

  /**
   * @param pieces bytes by id; null for control tokens and for ids that do not exist
   * @param bos the begin-of-sequence id, -1 if there is none
   * @param dummyPrefix whether encoding puts a space in front of a text, which decoding has to
   *     remove
   * @param longestToken chars of text that one token can stand for
   */
  PieceTable(byte[][] pieces, int bos, boolean dummyPrefix, int longestToken) {
    this.pieces = pieces;
    texts = texts(pieces);
    this.bos = bos;
    this.dummyPrefix = dummyPrefix;
    this.longestToken = longestToken;
  }

  /** As above, where no token stands for text that it does not print. */
  PieceTable(byte[][] pieces, int bos, boolean dummyPrefix) {
    this(pieces, bos, dummyPrefix, longest(pieces));
  }

  private static String[] texts(byte[][] pieces) {
    CharsetDecoder utf8 = UTF_8.newDecoder(); // reports what is malformed
    String[] texts = new String[pieces.length];
    for (int id = 0; id < pieces.length; id++) {
      if (pieces[id] != null) {
        try {
          texts[id] = utf8.decode(ByteBuffer.wrap(pieces[id])).toString();
        } catch (CharacterCodingException _) {
          // Part of a character, which other tokens complete.
        }
      }
    }
    return texts;
  }

  /** Length of the longest piece in bytes; no UTF-8 text has more chars than bytes. */
  static int longest(byte[][] pieces) {
    int longest = 0;
    for (byte[] piece : pieces) {
      longest = piece == null ? longest : Math.max(longest, piece.length);
    }
    return longest;
  }

  int size() {
    return pieces.length;
  }

  /** The bytes of {@code id}; empty if it prints nothing. Not to be changed. */
  byte[] bytes(int id) {
    byte[] piece = id >= 0 && id < pieces.length ? pieces[id] : null;
    return piece == null ? NOTHING : piece;
  }

  /** The bytes of {@code id} as text if they are whole characters, at least one; null otherwise. */
  String text(int id) {
    String text = id >= 0 && id < texts.length ? texts[id] : null;
    return text == null || text.isEmpty() ? null : text;
  }

  int longestToken() {
    return longestToken;
  }

  int bos() {
    return bos;
  }

  boolean dummyPrefix() {
    return dummyPrefix;
  }
}
