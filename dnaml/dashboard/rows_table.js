// A plain table: text only, rows told apart by key so that what has the focus keeps it while the rest changes.
export default {
  template: `
    <div class="rows">
      <table>
        <caption class="unseen">{{ described }}</caption>
        <thead>
          <tr><th v-for="(column, at) in columns" :key="at" scope="col" :class="{number: column.numeric}">{{ column.title }}</th></tr>
        </thead>
        <tbody>
          <tr v-for="row in rows" :key="row.key" :class="{strong: row.strong}">
            <td v-for="(cell, at) in row.cells" :key="at" :data-title="columns[at].title"
                :class="{number: columns[at].numeric, wide: columns[at].wide}">
              <span class="inner">
                <a v-if="cell.href" :href="cell.href">{{ cell.text }}</a>
                <span v-else :class="cell.tone ? 'tag ' + cell.tone : ''">{{ cell.text }}</span>
                <span v-if="cell.share !== undefined" class="meter" aria-hidden="true"
                  ><span :style="{width: 100 * Math.min(1, Math.max(0, cell.share)) + '%'}"></span></span>
                <span v-if="cell.note" class="note">{{ cell.note }}</span>
              </span>
            </td>
          </tr>
        </tbody>
      </table>
    </div>`,
  props: {columns: Array, rows: Array, described: String},
};
