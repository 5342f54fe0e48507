package dev.weir.engine.tokenizer;

import ai.djl.huggingface.tokenizers.jni.LibUtils;
import ai.djl.huggingface.tokenizers.jni.TokenizersLibrary;
import java.nio.file.Path;
import java.util.concurrent.locks.ReadWriteLock;
import java.util.concurrent.locks.ReentrantReadWriteLock;
import java.util.stream.LongStream;

/**
 * Hugging Face {@code tokenizers} by DJL's JNI library. DJL's own classes on top of that library
 * report to a server when they are first used, so its native methods are called directly. Whether a
 * begin-of-sequence token comes first is for the file's own post-processor to say; special tokens
 * written out in a text are recognised, as the file asks.
 */
final class HuggingFaceTokenizer implements Tokenizer {
  private final PieceTable pieces;
  private final ReadWriteLock lock = new ReentrantReadWriteLock();
  private final long tokenizer;
  private boolean closed;

  static {
    // DJL downloads another build of its library where it finds a CUDA driver, unless it is told
    // not to.
    if (System.getenv("RUST_FLAVOR") == null && System.getProperty("RUST_FLAVOR") == null) {
      System.setProperty("RUST_FLAVOR", "cpu");
    }
    LibUtils.checkStatus();
  }

  private HuggingFaceTokenizer(PieceTable pieces, long tokenizer) {
    this.pieces = pieces;
    this.tokenizer = tokenizer;
  }

  static HuggingFaceTokenizer load(Path file, byte[] content) {
    TokenizerJson json = TokenizerJson.parse(file, content);
    long tokenizer;
    try {
      tokenizer = TokenizersLibrary.LIB.createTokenizerFromString(json.text());
      TokenizersLibrary.LIB.disablePadding(tokenizer);
      TokenizersLibrary.LIB.disableTruncation(tokenizer);
    } catch (RuntimeException e) { // DJL's Rust side throws plain RuntimeExceptions
      throw new TokenizerException(
          "the tokenizers library refuses " + file + ": " + e.getMessage(), e);
    }
    return new HuggingFaceTokenizer(json.table(), tokenizer);
  }

  @Override
  public int[] encode(String text) {
    MalformedTextException.check(text);
    lock.readLock().lock();
    try {
      if (closed) {
        throw new TokenizerException("the tokenizer is closed");
      }
      return LongStream.of(nativeEncode(text)).mapToInt(Math::toIntExact).toArray();
    } finally {
      lock.readLock().unlock();
    }
  }

  private long[] nativeEncode(String text) {
    try {
      long encoding = TokenizersLibrary.LIB.encode(tokenizer, text, true);
      try {
        return TokenizersLibrary.LIB.getTokenIds(encoding);
      } finally {
        TokenizersLibrary.LIB.deleteEncoding(encoding);
      }
    } catch (RuntimeException e) { // DJL's Rust side throws plain RuntimeExceptions
      throw new TokenizerException("the tokenizers library failed: " + e.getMessage(), e);
    }
  }

  @Override
  public StreamingDecoder decoder(int... context) {
    return new StreamingDecoder(pieces, context);
  }

  @Override
  public int vocabularySize() {
    return pieces.size();
  }

  @Override
  public int longestToken() {
    return pieces.longestToken();
  }

  @Override
  public void close() {
    lock.writeLock().lock();
    try {
      if (!closed) {
        closed = true;
        TokenizersLibrary.LIB.deleteTokenizer(tokenizer);
      }
    } finally {
      lock.writeLock().unlock();
    }
  }
}
