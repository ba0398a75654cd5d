/** German names and help of everything that the service declares in English, by key. */

/** Options: name, help. */
export const options: Readonly<Record<string, readonly [string, string]>> = {
  age_modifier_model: ["Modell", "Das Netz, das das Alter ändert."],
  age_modifier_direction: ["Richtung", "Unter 0 jünger, über 0 älter; bei fran die Zahl der Jahre."],

  background_remover_model: ["Modell", "Das Modell, das den Vordergrund findet; selfie ist eingebaut."],
  background_remover_fill_color: ["Füllfarbe", "Farbe des Hintergrunds: Rot, Grün, Blau, Deckkraft, je 0 bis 255."],
  background_remover_despill_color: [
    "Farbstich",
    "Farbe, die der Hintergrund auf den Vordergrund wirft: Rot, Grün, Blau, Stärke.",
  ],
  background_remover_background: [
    "Hintergrund",
    "Mit der Farbe füllen, durchsichtig lassen, unscharf machen oder ein anderes Bild zeigen.",
  ],
  background_remover_picture: ["Bild", "Pfad des Bildes, das als Hintergrund gezeigt wird."],
  background_remover_blur: ["Unschärfe", "Sigma der Unschärfe als Anteil der Bildhöhe."],

  deep_swapper_model: [
    "Modell",
    "Die Person: ein Modell aus dem Verzeichnis oder custom/NAME für eine eigene Datei im Ordner custom.",
  ],
  deep_swapper_morph: ["Übergang", "Wie viel von der Person eingesetzt wird, bei Modellen, die auch weniger können."],

  expression_restorer_model: ["Modell", "Die Netze, die den Ausdruck wiederherstellen."],
  expression_restorer_factor: ["Stärke", "Wie viel vom Ausdruck des Ziels zurückkommt."],
  expression_restorer_areas: ["Bereiche", "Teile des Gesichts, deren Ausdruck zurückkommt."],

  face_anonymizer_mode: ["Art", "Unscharf machen, in grobe Kästchen zerlegen oder mit einer Farbe übermalen."],
  face_anonymizer_faces: ["Gesichter", "Jedes gefundene Gesicht verdecken oder nur die, die oben gewählt sind."],
  face_anonymizer_strength: ["Stärke", "Sigma der Unschärfe als Anteil der Gesichtshöhe."],
  face_anonymizer_cells: ["Kästchen", "Kästchen entlang der längeren Seite der verdeckten Fläche."],
  face_anonymizer_color: ["Farbe", "Farbe der Abdeckung: Rot, Grün, Blau, je 0 bis 255."],
  face_anonymizer_margin: ["Rand", "Um welchen Anteil die Abdeckung größer ist als das Gesicht."],
  face_anonymizer_hold: [
    "Nachhalten",
    "Video: wie lange eine Stelle verdeckt bleibt, nachdem ihr Gesicht zuletzt zu sehen war.",
  ],

  face_debugger_items: [
    "Angaben",
    "Was gezeichnet wird; face-mesh und iris brauchen die eingebauten Modelle, track-id ein Video.",
  ],

  face_editor_model: ["Modell", "Das Modell, das Gesichter bearbeitet; mesh ist eingebaut."],
  face_editor_eyebrow_direction: ["Augenbrauen", "Hebt (über 0) oder senkt die Augenbrauen."],
  face_editor_eye_gaze_horizontal: ["Blick waagerecht", "Blick nach rechts (über 0) oder links im Bild."],
  face_editor_eye_gaze_vertical: ["Blick senkrecht", "Blick nach oben (über 0) oder unten."],
  face_editor_eye_open_ratio: ["Augen öffnen", "Öffnet die Augen weiter (über 0) oder schließt sie."],
  face_editor_lip_open_ratio: ["Lippen öffnen", "Öffnet (über 0) oder schließt die Lippen."],
  face_editor_mouth_grim: ["Mund grimmig", "Macht den Mund grimmig; nicht mit dem Modell mesh."],
  face_editor_mouth_pout: ["Lippenfülle", "Macht die Lippen voller (über 0) oder schmaler."],
  face_editor_mouth_purse: ["Mund spitzen", "Spitzt (über 0) oder breitet die Lippen."],
  face_editor_mouth_smile: ["Lächeln", "Hebt (über 0) oder senkt die Mundwinkel."],
  face_editor_mouth_position_horizontal: ["Mund waagerecht", "Schiebt den Mund nach rechts (über 0) oder links."],
  face_editor_mouth_position_vertical: ["Mund senkrecht", "Schiebt den Mund nach oben (über 0) oder unten."],
  face_editor_head_pitch: ["Kopf nicken", "Neigt den Kopf vor oder zurück; nicht mit dem Modell mesh."],
  face_editor_head_yaw: ["Kopf drehen", "Dreht den Kopf zur Seite; nicht mit dem Modell mesh."],
  face_editor_head_roll: ["Kopf neigen", "Neigt den Kopf zur Schulter; nicht mit dem Modell mesh."],
  face_editor_eye_size: ["Augengröße", "Macht die Augen größer (über 0) oder kleiner; nur mit dem Modell mesh."],
  face_editor_mouth_width: ["Mundbreite", "Macht den Mund breiter (über 0) oder schmaler; nur mit dem Modell mesh."],
  face_editor_nose_width: ["Nasenbreite", "Macht die Nase breiter (über 0) oder schmaler; nur mit dem Modell mesh."],

  face_enhancer_model: ["Modell", "Das Netz, das Gesichter wiederherstellt."],
  face_enhancer_blend: ["Anteil", "Anteil des wiederhergestellten Gesichts am Ergebnis."],
  face_enhancer_weight: ["Treue", "codeformer: 0 gibt das schönste Gesicht, 1 das dem Bild nächste."],

  face_swapper_model: ["Modell", "Das Modell, das tauscht; mesh ist eingebaut und muss nicht geladen werden."],
  face_swapper_pixel_boost: [
    "Feinheit",
    "Größe, in der ein neuronales Modell arbeitet, in mehreren Kacheln; ohne Angabe die des Modells.",
  ],
  face_swapper_weight: ["Stärke", "Wie viel von der Identität der Quelle ein neuronales Modell einsetzt."],
  face_swapper_mesh_identity: [
    "Gesichtsform",
    "mesh: wie viel von der Form der Züge der Quelle übernommen wird; 0 übernimmt nur die Haut.",
  ],
  face_swapper_mesh_feather: ["Weicher Rand", "mesh: Breite des weichen Randes als Anteil der Gesichtsgröße."],
  face_swapper_mesh_forehead: ["Stirn", "mesh: wie weit der Tausch die Stirn hinaufreicht; 1 ist der Haaransatz."],

  frame_colorizer_model: ["Modell", "Das Netz, das die Farben schätzt."],
  frame_colorizer_size: [
    "Größe",
    "Größe, in der Farben geschätzt werden: Größer sieht kleinere Dinge, kleiner ist ruhiger.",
  ],
  frame_colorizer_blend: ["Anteil", "Anteil der neuen Farben am Ergebnis."],

  frame_enhancer_model: ["Modell", "Das Netz; x2, x4, x8 sagt, wie stark es vergrößert."],
  frame_enhancer_blend: ["Anteil", "Anteil des Bildes aus dem Netz; der Rest ist einfache Vergrößerung."],

  lip_syncer_model: ["Modell", "Das Netz, das die Lippen bewegt; edtalk_256 zeichnet das ganze Gesicht neu."],
  lip_syncer_weight: ["Stärke", "Wie stark sich die Lippen bewegen; 0,5 ist wie gelernt."],

  face_detector_model: ["Modell", "Das Modell, das Gesichter findet; blazeface ist eingebaut, die anderen werden geladen."],
  face_detector_size: ["Größe", "Größe des Bildes, das der Detektor sieht; blazeface hat eine eigene."],
  face_detector_margin: [
    "Rand",
    "Verbreitert das Bild um so viel, bevor Gesichter gesucht werden: oben, rechts, unten, links.",
  ],
  face_detector_angles: ["Winkel", "Vierteldrehungen des Bildes, in denen Gesichter gesucht werden."],
  face_detector_score: ["Sicherheit", "Wie sicher der Detektor bei einem Gesicht sein muss."],

  face_landmarker_model: [
    "Modell",
    "Das Modell, das Augen, Nase und Mund findet; mesh ist eingebaut, die anderen werden geladen.",
  ],
  face_landmarker_score: ["Sicherheit", "Wie sicher das Modell sein muss, damit seine Punkte gelten."],

  face_selector_mode: ["Auswahl", "Viele Gesichter, eines oder die, die dem Referenzgesicht gleichen."],
  face_selector_order: ["Reihenfolge", "Die Reihenfolge, in der Gesichter gezählt werden."],
  face_selector_age_start: ["Alter ab", "Das jüngste Alter, das bearbeitet wird."],
  face_selector_age_end: ["Alter bis", "Ab diesem Alter bleiben Gesichter, wie sie sind."],
  face_selector_gender: ["Geschlecht", "Nur Gesichter dieses Geschlechts; auto: das der Quelle."],
  face_selector_race: ["Herkunft", "Nur Gesichter dieser Herkunft; auto: die der Quelle."],
  reference_face_position: [
    "Referenzgesicht",
    "Welches Gesicht des Referenzbildes gemeint ist, ab 0 gezählt, in der gewählten Reihenfolge.",
  ],
  reference_face_distance: [
    "Abstand",
    "Wie unähnlich ein Gesicht dem Referenzgesicht sein darf; braucht ein Modell, das Gesichter erkennt.",
  ],
  reference_frame_number: ["Referenzbild", "Das Bild des Ziels, das das Referenzgesicht zeigt."],

  face_tracker_score: [
    "Überdeckung",
    "Ab welcher Überdeckung zwei Rahmen dasselbe Gesicht sind; 0: eingebaute Modelle nehmen 0,3, andere verfolgen nicht.",
  ],
  face_tracker_interval: [
    "Neu suchen",
    "Spätestens nach dieser Zeit werden neue Gesichter gesucht; 0: in jedem Bild. Nur eingebaute Modelle.",
  ],
  face_tracker_small_faces: [
    "Kleine Gesichter",
    "Jedes Mal genau nach kleinen Gesichtern sehen, nicht nur, wo keines gefunden wird. Nur eingebaute Modelle.",
  ],
  face_tracker_smoothing: ["Glätten", "Nimmt den Punkten das Zittern. Nur eingebaute Modelle."],

  target_frame_amount: ["Bilder ringsum", "Bilder vor und nach einem Bild, in denen ein fehlendes Gesicht gesucht wird."],

  face_occluder_model: ["Modell für Verdeckung", "Das Modell, das sieht, was ein Gesicht verdeckt."],
  face_parser_model: ["Modell für Regionen", "Das Modell, das die Regionen eines Gesichts unterscheidet."],
  face_mask_types: ["Arten", "Arten von Masken; ein Punkt muss in allen liegen."],
  face_mask_areas: ["Bereiche", "Bereiche der Bereichsmaske."],
  face_mask_regions: ["Regionen", "Regionen der Regionenmaske."],
  face_mask_blur: ["Weicher Rand", "Wie weich der Rand der Rahmenmaske ist."],
  face_mask_padding: ["Abstand", "Wie weit die Rahmenmaske von jeder Seite wegbleibt: oben, rechts, unten, links."],

  voice_extractor_model: ["Modell", "Das Netz, das die Stimme aus einem Ton holt, bevor die Lippen ihr folgen."],

  trim_frame_start: ["Erstes Bild", "Das erste Bild, das bearbeitet wird; das Video beginnt dort."],
  trim_frame_end: ["Ende", "Das Bild, vor dem aufgehört wird."],
  temp_frame_format: ["Format von Zwischenbildern", "Wird der Verträglichkeit wegen angenommen; es gibt keine Zwischenbilder."],
  temp_pixel_format: [
    "Pixelformat von Zwischenbildern",
    "Wird der Verträglichkeit wegen angenommen; Durchsichtigkeit bleibt, wo das Ergebnis sie fassen kann.",
  ],

  output_image_quality: ["Bildqualität", "Qualität von Bildern als JPEG, WebP und AVIF."],
  output_image_scale: ["Bildgröße", "Größe eines Bildes im Verhältnis zum Ziel."],
  output_audio_encoder: ["Tonformat", "Womit Ton geschrieben wird; ohne Angabe wird er übernommen, wo das Ergebnis ihn fassen kann."],
  output_audio_quality: ["Tonqualität", "Qualität des Tons, wo er neu geschrieben wird."],
  output_audio_volume: ["Lautstärke", "Lautstärke des Tons; 0 lässt ihn weg."],
  output_video_encoder: ["Videoformat", "Womit das Video geschrieben wird; ohne Angabe wie für das Dateiformat üblich."],
  output_video_preset: ["Gründlichkeit", "Wie viel Zeit sich das Schreiben nimmt, um Platz zu sparen."],
  output_video_quality: ["Videoqualität", "Qualität des Videos."],
  output_video_scale: ["Videogröße", "Größe eines Videos im Verhältnis zum Ziel."],
  output_video_fps: [
    "Bilder pro Sekunde",
    "1 bis 60: Bilder werden ausgelassen oder wiederholt; ohne Angabe bleiben die Zeiten des Ziels.",
  ],
  output_hdr: ["HDR", "Was mit einem Video mit hohem Kontrastumfang geschieht: umrechnen oder ablehnen."],
  output_marking: ["Kennzeichnung", "Schreibt ins Ergebnis, dass ein Programm es verändert hat, und wie; maschinenlesbar."],

  output_watermark: [
    "Wasserzeichen",
    "Setzt ein unsichtbares Wasserzeichen in die Bildpunkte; es übersteht neues Komprimieren und Skalieren.",
  ],
  output_watermark_id: [
    "Inhalt des Wasserzeichens",
    "Was es sagt, zehn hexadezimale Ziffern; ohne Angabe aus Ziel, Prozessoren und Optionen.",
  ],
  output_badge: ["Plakette", "Zeichnet eine sichtbare Plakette in diese Ecke."],
  output_badge_text: ["Text der Plakette", "Was die Plakette sagt."],

  workflow_mode: ["Art des Ziels", "Welche Art von Ziel erwartet wird; auto nimmt es, wie es ist."],
  workflow_strategy: ["Arbeitsweise", "Wird der Verträglichkeit wegen angenommen; gearbeitet wird immer im Speicher."],
  compat: [
    "Verträglichkeit",
    "Rechnet wie FaceFusion 3.8.1, mit dessen Modellen, auch wo mien es besser macht.",
  ],
  analysis: [
    "Analyse",
    "exact: geladene Netze sehen jedes Bild eines Videos an; fast: einige, und die Bewegung im Bild sagt, wo Gesichter dazwischen sind. Eingebaute Modelle verfolgen Gesichter immer.",
  ],
  workflow_no_face: ["Ohne Gesicht", "Ein Bild ohne Gesicht zum Bearbeiten: ablehnen oder unverändert schreiben."],

  content_policy: [
    "Regel",
    "Sexuelle Inhalte ablehnen, nur im Ergebnis vermerken oder nicht danach sehen; braucht die Inhaltsmodelle.",
  ],
};

/** Groups of options. */
export const groups: Readonly<Record<string, string>> = {
  face_detector: "Gesichter finden",
  face_landmarker: "Augen, Nase, Mund finden",
  face_selector: "Gesichter wählen",
  face_tracker: "Gesichter verfolgen",
  frames_around_a_frame: "Bilder rings um ein Bild",
  face_masks: "Masken",
  voice_extractor: "Stimme herauslösen",
  part_of_the_target: "Teil des Ziels",
  output: "Ausgabe",
  marks_in_the_picture: "Kennzeichen im Bild",
  workflow: "Ablauf",
  content_policy: "Inhaltsprüfung",
};

/** What processors do. */
export const processors: Readonly<Record<string, string>> = {
  age_modifier: "Macht Gesichter jünger oder älter.",
  background_remover: "Entfernt den Hintergrund, macht ihn unscharf oder ersetzt ihn.",
  deep_swapper: "Ersetzt Gesichter durch eine Person, für die ein Modell trainiert wurde.",
  expression_restorer: "Gibt getauschten Gesichtern den Ausdruck des Ziels zurück.",
  face_anonymizer: "Macht Gesichter unkenntlich: unscharf, gepixelt oder übermalt.",
  face_debugger: "Zeichnet Rahmen, Punkte, Masken und Zahlen von Gesichtern.",
  face_editor: "Ändert Ausdruck, Blick und einige Proportionen von Gesichtern.",
  face_enhancer: "Stellt unscharfe, kleine oder stark komprimierte Gesichter wieder her.",
  face_swapper: "Setzt das Gesicht der Quellen auf die Gesichter des Ziels.",
  frame_colorizer: "Färbt graue oder verblasste Bilder und Videos ein.",
  frame_enhancer: "Vergrößert Bilder und Videos und ergänzt fehlende Einzelheiten.",
  lip_syncer: "Bewegt Lippen zu einer Stimme.",
};

/** Values to choose from, where they are words. Names of formats, models and encoders are the same everywhere. */
export const choices: Readonly<Record<string, string>> = {
  all: "alle",
  arabic: "arabisch",
  area: "Bereich",
  asian: "asiatisch",
  "best-worst": "sicherste zuerst",
  black: "schwarz",
  blur: "unscharf",
  "bottom-left": "unten links",
  "bottom-right": "unten rechts",
  "bottom-top": "von unten nach oben",
  "bounding-box": "Rahmen",
  box: "Rahmen",
  "face-landmark-5": "5 Punkte",
  "face-landmark-5/68": "5 aus 68 Punkten",
  "face-landmark-68": "68 Punkte",
  "face-landmark-68/5": "68 aus 5 Punkten",
  "face-mask": "Maske",
  "face-mesh": "Netz",
  female: "weiblich",
  fill: "füllen",
  flag: "vermerken",
  glasses: "Brille",
  "head-pose": "Kopfhaltung",
  indian: "indisch",
  iris: "Iris",
  keep: "behalten",
  "large-small": "größte zuerst",
  latino: "lateinamerikanisch",
  "left-eye": "linkes Auge",
  "left-eyebrow": "linke Braue",
  "left-right": "von links nach rechts",
  "lower-face": "untere Hälfte",
  "lower-lip": "Unterlippe",
  male: "männlich",
  many: "viele",
  mouth: "Mund",
  nose: "Nase",
  occlusion: "Verdeckung",
  off: "aus",
  one: "eines",
  picture: "Bild",
  pixelate: "verpixeln",
  presence: "Sicherheit",
  reference: "Referenz",
  refuse: "ablehnen",
  region: "Region",
  "right-eye": "rechtes Auge",
  "right-eyebrow": "rechte Braue",
  "right-left": "von rechts nach links",
  selected: "gewählte",
  skin: "Haut",
  "small-large": "kleinste zuerst",
  solid: "übermalen",
  tonemap: "umrechnen",
  "top-bottom": "von oben nach unten",
  "top-left": "oben links",
  "top-right": "oben rechts",
  "track-id": "Nummer der Person",
  transparent: "durchsichtig",
  "upper-face": "obere Hälfte",
  "upper-lip": "Oberlippe",
  white: "weiß",
  "worst-best": "unsicherste zuerst",
};
