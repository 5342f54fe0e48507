package dev.weir.engine.tokenizer;

import java.util.concurrent.locks.ReadWriteLock;
import java.util.concurrent.locks.ReentrantReadWriteLock;

/**
 * A tokenizer that encodes by a native library and decodes by a table. Any number of threads may
 * encode at the same time; closing waits for them.
 */
abstract class NativeTokenizer implements Tokenizer {
  private final PieceTable pieces;
  private final ReadWriteLock lock = new ReentrantReadWriteLock();
  private boolean closed;

  NativeTokenizer(PieceTable pieces) {
    this.pieces = pieces;
  }

  /**
   * Encodes well-formed text.
   *
   * @throws TokenizerException if the library fails
   */
  abstract int[] nativeEncode(String text);

  /** Frees what the library holds; called once, when nothing is being encoded any more. */
  abstract void nativeClose();

  @Override
  public final int[] encode(String text) {
    MalformedTextException.check(text);
    lock.readLock().lock();
    try {
      if (closed) {
        throw new TokenizerException("the tokenizer is closed");
      }
      return nativeEncode(text);
    } finally {
      lock.readLock().unlock();
    }
  }

  @Override
  public final StreamingDecoder decoder(int... context) {
    return new StreamingDecoder(pieces, context);
  }

  @Override
  public final int vocabularySize() {
    return pieces.size();
  }

  @Override
  public final int longestToken() {
    return pieces.longestToken();
  }

  @Override
  public final void close() {
    lock.writeLock().lock();
    try {
      if (!closed) {
        closed = true;
        nativeClose();
      }
    } finally {
      lock.writeLock().unlock();
    }
  }
}
