package dev.weir.engine.tokenizer;

import ai.djl.engine.EngineException;
import ai.djl.sentencepiece.jni.LibUtils;
import ai.djl.sentencepiece.jni.SentencePieceLibrary;
import java.nio.file.Path;

/**
 * SentencePiece by DJL's JNI library. DJL's own classes on top of that library report to a server
 * when they are first used, and free their memory twice when they are closed twice, so its native
 * methods are called directly.
 */
final class SentencePieceTokenizer extends NativeTokenizer {
  private final int bos;
  private final long processor;

  static {
    LibUtils.loadLibrary();
  }

  static SentencePieceTokenizer load(SentencePieceModel model, Path source) {
    return new SentencePieceTokenizer(model, model.table(), source);
  }

  private SentencePieceTokenizer(SentencePieceModel model, PieceTable pieces, Path source) {
    super(pieces);
    bos = pieces.bos();
    processor = SentencePieceLibrary.LIB.createSentencePieceProcessor();
    try {
      SentencePieceLibrary.LIB.loadModelFromBytes(processor, model.serialize());
    } catch (EngineException e) {
      SentencePieceLibrary.LIB.deleteSentencePieceProcessor(processor);
      throw new TokenizerException("SentencePiece refuses " + source + ": " + e.getMessage(), e);
    }
  }

  @Override
  int[] nativeEncode(String text) {
    int[] ids;
    try {
      ids = SentencePieceLibrary.LIB.encode(processor, text);
    } catch (EngineException e) {
      throw new TokenizerException("SentencePiece failed: " + e.getMessage(), e);
    }
    if (bos < 0) {
      return ids;
    }
    int[] sequence = new int[ids.length + 1];
    sequence[0] = bos;
    System.arraycopy(ids, 0, sequence, 1, ids.length);
    return sequence;
  }

  @Override
  void nativeClose() {
    SentencePieceLibrary.LIB.deleteSentencePieceProcessor(processor);
  }
}
