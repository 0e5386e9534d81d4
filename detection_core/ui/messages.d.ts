// Types for the checker alone: what Gradio hands to a module, and the messages that Python sends, as in the `messages.py` of each tab.

type Point = [x: number, y: number];
type Box = number[];
type Side = "left" | "right" | "center";
type Refs = Record<string, any>;

/** What `mount` gets; `constants` is what the component's constructor in Python passes. */
interface Mounting {
  element: HTMLElement & Record<string, any>;
  /** Assigning `value` sends it to Gradio; a message of Python's is in it until then. */
  props: { value: any };
  trigger(event: string, data?: unknown): void;
  server: Record<string, (argument: any) => Promise<any>>;
  upload(file: File): Promise<{ path: string; url: string }>;
  watch(property: string, callback: () => void): void;
  constants: any;
}

interface FileData { path: string; url: string; orig_name: string }
interface Layer { name: string; title: string }
interface Style { [layer: string]: boolean | number; opacity: number; keypoint_threshold: number }
interface ExportFormat { key: string; title: string; description: string }

interface ViewStatus { stage?: string; text: string; done?: number; total?: number | null }
interface ViewError { title: string; text: string }
interface ViewTiming { name: string; ms: number }
interface Category { name: string; plural: string }
type Categories = Record<string, Category>;
type Edge = [from: number, to: number, side: Side];

interface ViewObject {
  class_id: number;
  score: number;
  box: Box;
  color: string;
  polygons?: number[][] | null;
  /** [x, y, logit] of each. */
  keypoints?: number[][] | null;
  /** Of an image in slices: the score in the whole image, 0 where only slices found it. */
  whole_score?: number | null;
}

/** What is drawn: an object with what the view has found out about it. */
interface Drawn extends Partial<ViewObject> {
  name: string;
  score: number;
  box: Box;
  color: string;
  area: number;
  /** Whether a person has drawn it, so that it has no score. */
  annotated?: boolean;
  /** Class of its nodes. */
  look?: string;
  /** What its label says where there is little room; without it, its place. */
  number?: number;
}

/** An object of a comparison: `refs` are the objects of models that it stands for. */
interface Compared extends Drawn { label: string; refs: Ref[]; tip?: string }
/** An object of a model: the model's id and the object's place. */
type Ref = [model: string, index: number];

interface Drawing<T = Drawn> { objects: T[]; edges: Edge[]; keypoint_names: string[] }

/** A model's result on one image, and the status while there is none. */
interface ViewResult {
  threshold: number;
  floor: number;
  status: ViewStatus | null;
  timings: ViewTiming[];
  categories: Categories;
  edges: Edge[];
  keypoint_names: string[];
  objects: ViewObject[] | null;
  color_by: string;
}

interface DetectMessage extends ViewResult {
  image: FileData | null;
  width: number;
  height: number;
  model: { key: string; title: string };
  error: ViewError | null;
  formats: string[];
  /** The tiles of an image in slices. */
  tiles: Box[];
  notes: string[];
  download: FileData | null;
  download_name: string;
  explain: ExplainStart | null;
}
type DetectResult = Omit<DetectMessage, "objects"> & { objects: (Drawn & ViewObject)[] };
type DetectSettings = Style & { threshold: number; hidden_classes: number[]; only_slices: boolean };

/** What opens the mode Explain, and the answers in it, as in ui/explain/questions.py. */
interface ExplainStart {
  recording: string;
  /** The slice that is explained, XYXY in pixels; null for the whole image. */
  tile: Box | null;
  model: string;
  notes: string[];
  classes: [label: number, name: string][];
  settings: { nms_iou: number; min_score: number; limit: number };
  lowest_min_score: number;
  limits: string;
  levels: string[];
  stages: { name: string; text: string; count: number | null; ms: number | null }[];
  masks: number[];
}
interface ExplainSuppressor { name: string; score: number; box: Box; iou: number; number: number | null }
interface ExplainPlace {
  box: Box;
  iou: number | null;
  background: number | null;
  classes: { name: string; score: number; fate: string; reason: string; suppressor: ExplainSuppressor | null }[];
}
interface ExplainWhyNot {
  sentence: string;
  places: ExplainPlace[];
  first_stage: { fitting: number; proposals: number; best: { objectness: number; reason: string } | null } | null;
}
interface ExplainWhy {
  sentence: string;
  number: number;
  name: string;
  score: number;
  /** Height and width of the feature map that it was found on. */
  cells: [number, number];
  refinements: { name: string; box: Box; moved: number; scaled: number[] }[];
  scores: [name: string, score: number][];
  background: number | null;
  suppressed: { name: string; score: number; box: Box; iou: number }[];
  suppressed_count: number;
}
/** The place that was asked about, as it is drawn. */
interface Asked { box: Box }

interface Cost {
  latency_ms: number | null;
  low_ms: number | null;
  high_ms: number | null;
  runs: number;
  parts: ViewTiming[];
  memory_mb: number | null;
  box_ap: number | null;
  metrics_on: string;
}
interface CompareModelMessage extends ViewResult {
  id: string;
  title: string;
  linkable: boolean;
  error: ViewError | null;
  cost: Cost | null;
}
interface CompareModel extends Omit<CompareModelMessage, "objects"> {
  objects: (Compared & ViewObject)[] | null;
  /** The objects as they came, to see whether they are others. */
  text: string;
  letter: string;
}
type CompareResult = CompareModel & { objects: (Compared & ViewObject)[] };
interface ComparePoint { id: string; title: string; latency_ms: number | null; box_ap: number | null; compared: boolean }
interface CompareSource { image: FileData; width: number; height: number; linkName: string }
type CompareSettings = Style & {
  rule: string;
  threshold: number;
  thresholds: Record<string, number>;
  top: number;
  iou: number;
  mode: "side" | "swipe" | "difference" | "consensus";
  pair: string[] | null;
  votes: number;
  hidden_classes: string[];
};
type Kind = "matched" | "onlyA" | "onlyB" | "other";
interface Match { i: number; j: number; iou: number }
interface PairComparison { matched: Match[]; other: Match[]; onlyA: number[]; onlyB: number[] }
interface Agreed { name: string; members: Map<number, number>; box: Box; score: number }
interface PairRow { kind: Kind; name: string; scores: (number | null)[]; iou: number | null; refs: Ref[] }

interface LiveStart {
  turn: string;
  stream: string;
  model: { key: string; title: string };
  threshold: number;
  floor: number;
  categories: Categories;
  edges: Edge[];
  keypoint_names: string[];
  tasks: string[];
  sides: (number | null)[];
}
interface LiveTimes { decode: number; wait: number; network: number; post: number; track: number }
interface LiveObject extends ViewObject { track: number; velocity: Point }
interface LiveResult {
  id: number;
  time: number;
  threshold: number;
  width: number;
  height: number;
  objects: LiveObject[];
  in_view: Record<string, number>;
  total: Record<string, number>;
  ms: LiveTimes;
  room: boolean;
}
interface LiveOptions { threshold: number; stable: boolean; tasks: string[] }
interface LiveFrame extends LiveOptions { id: number; image: string | null; time: number; sent: number }
interface LiveSettings extends Style { threshold: number; stable: boolean }

interface VideoModel { key: string; title: string; threshold: number; floor: number; layers: string[]; button: string }
interface VideoFacts { width: number; height: number; seconds: number; fps: number; frames: number; sound: boolean; poster: string; notes: string[] }
interface VideoClass { name: string; plural: string; color: string; counts: number[]; total: number | null }
interface VideoOutcome {
  turn: string;
  video: string;
  file: FileData;
  model: string;
  threshold: number;
  track: boolean;
  frames: number;
  seconds: number;
  complete: boolean;
  times: number[];
  classes: VideoClass[];
}
interface VideoSource {
  name: string;
  size: number;
  url: string;
  path: string;
  facts: VideoFacts | null;
  pace: { key: string; seconds: number | null } | null;
}
type VideoSettings = Style & { rate: string; track: boolean; threshold: number; hidden_classes: string[] };
/** The functions of a view through which its video's work reports. */
interface VideoHandlers {
  progressed(answer?: VideoProgress): void;
  ended(stage: string, sentence: string): void;
  error(error: ViewError | null): void;
}
interface VideoProgress {
  stage: string;
  ahead: number;
  status: ViewStatus | null;
  progress: { done: number; total: number; fps: number; left: number | null } | null;
}

interface BatchResult {
  objects: ViewObject[];
  width: number;
  height: number;
  thumbnail: string;
  ms: number;
  formats: string[];
}
interface BatchImage {
  id: string;
  file: File;
  name: string;
  path: string;
  state: string;
  error: string;
  result: BatchResult | null;
  selected: boolean;
}
interface BatchStart {
  turn: string;
  batch: string;
  model: { key: string; title: string };
  threshold: number;
  floor: number;
  categories: Categories;
}
interface ChosenFile { file: File; name: string; fromFolder: boolean }

interface ModelCard {
  key: string;
  title: string;
  group: string;
  tasks: string[];
  facts: [name: string, value: string][];
  size: string;
  best_for: string;
  metrics_on: string;
  recipe: string;
  states: Record<string, string>;
  /** Pixels of the shorter side at which it was trained. */
  trained_side: number;
  /** Why it has one input size only, or "". */
  one_size: string;
  /** What an image takes here, by the keys of its variants that have run. */
  seconds: Record<string, number>;
  /** Which share of the time at the trained side is the same at all input sizes, by precision. */
  fixed_shares: Record<string, number>;
}

/** Detections by falling score; `partner` is the object that each finds, or -1; `pairs` are a detection and an object of another class each. */
interface EvaluatedDetections {
  score: number[];
  label: number[];
  image: number[];
  box: (Box | null)[];
  partner: number[];
  ignored: number[];
  pairs: number[];
}
interface EvaluatedObjects { image: number[]; label: number[]; ignored: number[]; box: (Box | null)[] }
type Figures = Record<string, number | null>;
interface EvaluatedClass extends Record<string, any> { label: number; objects: number; interval: number[] | null; AP: number | null }
interface EvaluatedModel {
  name: string;
  title: string;
  linkable: boolean;
  threshold: number;
  floor: number;
  summary: Figures;
  intervals: Record<string, number[]>;
  classes: EvaluatedClass[];
  errors: Record<string, { ap: number | null; kinds: Record<string, [count: number, gain: number]> }>;
  cost: { seconds: number | null; memory: number | null; file_size: number | null };
  partners: Record<string, string>;
  left_out: string[];
  not_detected: string[];
  notes: string[];
  detections: EvaluatedDetections;
}
interface EvaluationResult {
  evaluation: string;
  name: string;
  is_sample: boolean;
  iou_type: string;
  tasks: string[];
  iou: number;
  resamples: number;
  images: { name: string; width: number; height: number }[];
  categories: string[];
  objects: EvaluatedObjects;
  models: EvaluatedModel[];
  differences: { a: string; b: string; ap: number | null; interval: number[] | null }[];
  failed: { name: string; reason: string }[];
  notes: string[];
}
interface DataFacts {
  evaluation: string;
  name: string;
  is_sample: boolean;
  images: number;
  objects: number;
  classes: number;
  tasks: string[];
  faults: string[];
  fault_count: number;
  parts: string[];
  part: string;
}
