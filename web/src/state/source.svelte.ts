/** A file on the workbench: on its way to the service, there, or refused. */

import { contentUrl, detect, frameUrl, upload, uploadFrom } from "../api/calls";
import { isAborted, messageOf } from "../api/client";
import type { Asset, Face } from "../api/types";

let last = 0;

export class Media {
  readonly key = `m${++last}`;

  constructor(private readonly curious = true) {}

  name: string = $state("");
  kind: "image" | "video" | "audio" | "file" = $state("file");
  asset: Asset | null = $state.raw(null);
  /** Share that was sent; null when nothing is on its way. */
  share: number | null = $state(null);
  error: string | null = $state(null);
  /** Address of the file in this browser, until the service has it. */
  local: string | null = $state(null);
  faces: Face[] = $state.raw([]);
  looking = $state(false);
  private readonly stopper = new AbortController();

  /** ``looking`` says whether its faces are of interest. */
  static ofFile(file: File, looking = true): Media {
    const media = new Media(looking);
    media.name = file.name || "picture.png";
    media.kind = kindOf(file.type);
    if (media.kind === "image") media.local = URL.createObjectURL(file);
    void media.fill((share) => upload(file, share, media.stopper.signal));
    return media;
  }

  static ofUrl(url: string): Media {
    const media = new Media();
    media.name = url.split(/[?#]/)[0]!.split("/").pop() || url;
    void media.fill(() => uploadFrom(url));
    return media;
  }

  static ofAsset(asset: Asset): Media {
    const media = new Media();
    media.take(asset);
    return media;
  }

  /** Address of a small picture of it. */
  get thumbnail(): string | null {
    if (this.kind === "audio") return null;
    if (this.asset) return frameUrl(this.asset.id, 0, 256);
    return this.local;
  }

  get content(): string | null {
    return this.asset ? contentUrl(this.asset.id) : this.local;
  }

  get frames(): number {
    return this.asset?.frames ?? 1;
  }

  get rate(): number {
    return this.asset?.fps ?? 25;
  }

  /** Find the faces of the picture, or of the first frame. */
  async look(): Promise<void> {
    if (!this.asset || (this.kind !== "image" && this.kind !== "video")) return;
    this.looking = true;
    try {
      const found = await detect(this.asset.id, 0, {}, this.stopper.signal);
      this.faces = found.faces;
    } catch (error) {
      if (!isAborted(error)) this.faces = [];
    } finally {
      this.looking = false;
    }
  }

  drop(): void {
    this.stopper.abort();
    if (this.local) URL.revokeObjectURL(this.local);
    this.local = null;
  }

  private async fill(bring: (onProgress: (share: number) => void) => Promise<Asset>): Promise<void> {
    this.share = 0;
    try {
      this.take(await bring((share) => (this.share = share)));
    } catch (error) {
      if (!isAborted(error)) this.error = messageOf(error);
    } finally {
      this.share = null;
    }
  }

  private take(asset: Asset): void {
    this.asset = asset;
    this.name = asset.name;
    this.kind = kindOf(`${asset.kind}/`);
    if (this.curious) void this.look();
  }
}

function kindOf(type: string): Media["kind"] {
  const kind = type.split("/")[0];
  return kind === "image" || kind === "video" || kind === "audio" ? kind : "file";
}
