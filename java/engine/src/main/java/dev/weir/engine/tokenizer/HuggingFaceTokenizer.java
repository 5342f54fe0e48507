package dev.weir.engine.tokenizer;

import ai.djl.huggingface.tokenizers.jni.LibUtils;
import ai.djl.huggingface.tokenizers.jni.TokenizersLibrary;
import java.nio.file.Path;
import java.util.stream.LongStream;

/**
 * Hugging Face {@code tokenizers} by DJL's JNI library. DJL's own classes on top of that library
 * report to a server when they are first used, so its native methods are called directly. Whether a
 * begin-of-sequence token comes first is for the file's own post-processor to say; special tokens
 * written out in a text are recognised, as the file asks.
 */
final class HuggingFaceTokenizer extends NativeTokenizer {
  private final long tokenizer;

  static {
    // DJL downloads another build of its library where it finds a CUDA driver, unless it is told
    // not to.
    if (System.getenv("RUST_FLAVOR") == null && System.getProperty("RUST_FLAVOR") == null) {
      System.setProperty("RUST_FLAVOR", "cpu");
    }
    LibUtils.checkStatus();
  }

  private HuggingFaceTokenizer(PieceTable pieces, long tokenizer) {
    super(pieces);
    this.tokenizer = tokenizer;
  }

  static HuggingFaceTokenizer load(Path file, byte[] content) {
    TokenizerJson json = TokenizerJson.parse(file, content);
    PieceTable pieces = json.table();
    try {
      long tokenizer = TokenizersLibrary.LIB.createTokenizerFromString(json.text());
      HuggingFaceTokenizer loaded = new HuggingFaceTokenizer(pieces, tokenizer);
      boolean usable = false;
      try {
        TokenizersLibrary.LIB.disablePadding(tokenizer);
        TokenizersLibrary.LIB.disableTruncation(tokenizer);
        usable = true;
        return loaded;
      } finally {
        if (!usable) {
          loaded.close();
        }
      }
    } catch (RuntimeException e) { // DJL's Rust side throws plain RuntimeExceptions
      throw new TokenizerException(
          "the tokenizers library refuses " + file + ": " + e.getMessage(), e);
    }
  }

  @Override
  int[] nativeEncode(String text) {
    try {
      long encoding = TokenizersLibrary.LIB.encode(tokenizer, text, true);
      try {
        long[] ids = TokenizersLibrary.LIB.getTokenIds(encoding);
        return LongStream.of(ids).mapToInt(Math::toIntExact).toArray();
      } finally {
        TokenizersLibrary.LIB.deleteEncoding(encoding);
      }
    } catch (RuntimeException e) { // DJL's Rust side throws plain RuntimeExceptions
      throw new TokenizerException("the tokenizers library failed: " + e.getMessage(), e);
    }
  }

  @Override
  void nativeClose() {
    TokenizersLibrary.LIB.deleteTokenizer(tokenizer);
  }
}
