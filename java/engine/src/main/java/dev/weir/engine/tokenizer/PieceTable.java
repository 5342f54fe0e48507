package dev.weir.engine.tokenizer;

/**
 * The bytes that each token prints. Decoding needs nothing else, so all tokenizer formats share one decoder, and a
 * generation that outlives its tokenizer can still be read.
 */
final class PieceTable {
  private static final byte[] NOTHING = {};

  private final byte[][] pieces;
  private final int bos;
  private final boolean dummyPrefix;

  /**
   * @param pieces bytes by id; null for control tokens and for ids that do not exist
   * @param bos the begin-of-sequence id, -1 if there is none
   * @param dummyPrefix whether encoding puts a space in front of a text, which decoding has to remove
   */
  PieceTable(byte[][] pieces, int bos, boolean dummyPrefix) {
    this.pieces = pieces;
    this.bos = bos;
    this.dummyPrefix = dummyPrefix;
  }

  int size() {
    return pieces.length;
  }

  /** The bytes of {@code id}; empty if it prints nothing. Not to be changed. */
  byte[] bytes(int id) {
    byte[] piece = id >= 0 && id < pieces.length ? pieces[id] : null;
    return piece == null ? NOTHING : piece;
  }

  int bos() {
    return bos;
  }

  boolean dummyPrefix() {
    return dummyPrefix;
  }
}
